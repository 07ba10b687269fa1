/* Read by the sanitizers' runtime. Leaks are not looked for: that needs ptrace, which a sandbox forbids. */

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void) { return "detect_leaks=0:quarantine_size_mb=4:print_legend=0:malloc_context_size=8"; }

const char *__ubsan_default_options(void) { return "print_stacktrace=1"; }
