"""What runtimes print when they give up, as they really print it, and what is read from it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subcli.judge.analysis import Context
from subcli.judge.analysis.places import place_in
from subcli.judge.analysis.traces import Call, Trace, is_same_file, read_trace

PYTHON = """\
before
Traceback (most recent call last):
  File "/tmp/w/node.py", line 10, in <module>
    main()
  File "/tmp/w/node.py", line 6, in add
    return seen["a"] + seen["b"]
           ~~~~~~~~~^^^^^
KeyError: 'b'
"""
PYTHON_CHAIN = """\
Traceback (most recent call last):
  File "/tmp/w/a.py", line 2, in f
    1 / 0
ZeroDivisionError: division by zero

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/tmp/w/a.py", line 4, in <module>
    raise Odd
__main__.f.<locals>.Odd
"""
PYTHON_GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/tmp/w/a.py", line 3, in <module>
  |     raise ExceptionGroup("two", [ValueError("x")])
  | ExceptionGroup: two (1 sub-exception)
  +-+---------------- 1 ----------------
    | ValueError: x
    +------------------------------------
"""
PYTHON_SYNTAX = """\
  File "/tmp/w/a.py", line 3
    for line in sys.stdin
                         ^
SyntaxError: expected ':'
"""
JAVA = """\
Exception in thread "main" java.lang.IndexOutOfBoundsException: Index 2 out of bounds for length 2
\tat java.base/jdk.internal.util.Preconditions.outOfBounds(Preconditions.java:64)
\tat java.base/java.util.ArrayList.get(ArrayList.java:427)
\tat Main.add(Main.java:7)
\tat Main.main(Main.java:16)
"""
JAVA_CAUSE = """\
Exception in thread "main" java.lang.RuntimeException: java.lang.ArithmeticException: / by zero
\tat app.Main.main(Main.java:5)
Caused by: java.lang.ArithmeticException: / by zero
\tat app.calc.Sum.of(Sum.java:9)
\tat app.Main.main(Main.java:3)
"""
JAVA_LAUNCHER = """\
Exception in thread "main" java.lang.NullPointerException
\tat jdk.compiler/com.sun.tools.javac.launcher.Main.execute(Main.java:419)
\tat Main.main(Main.java:4)
"""
NODE = """\
<anonymous_script>:1
1 2
  ^

SyntaxError: Unexpected non-whitespace character after JSON at position 2
    at JSON.parse (<anonymous>)
    at add (/tmp/w/exception.js:3:15)
    at Object.<anonymous> (/tmp/w/exception.js:6:15)
    at Module._compile (node:internal/modules/cjs/loader:1521:14)

Node.js v20.20.2
"""
NODE_LOAD = """\
/tmp/w/compile_error.js:3
  const [a, b] = line.split(" ").map(Number;
                                     ^^^^^^

SyntaxError: missing ) after argument list
    at wrapSafe (node:internal/modules/cjs/loader:1464:18)
    at Module._compile (node:internal/modules/cjs/loader:1495:20)

Node.js v20.20.2
"""
NODE_REQUIRED = """\
/tmp/w/lib.js:2
  return (;
          ^

SyntaxError: Unexpected token ';'
    at wrapSafe (node:internal/modules/cjs/loader:1464:18)
    at Object.<anonymous> (/tmp/w/main.js:1:1)

Node.js v20.20.2
"""
NODE_TYPE = """\
TypeError [ERR_INVALID_ARG_TYPE]: The "path" argument must be of type string. Received undefined
    at Object.readFileSync (node:fs:449:42)
    at async main (file:///tmp/w/a.mjs:5:3) {
  code: 'ERR_INVALID_ARG_TYPE'
}
"""
GO = """\
panic: runtime error: index out of range [2] with length 2

goroutine 1 [running]:
main.add(...)
\t/tmp/w/adder.go:6
main.main()
\t/tmp/w/adder.go:15 +0xa5
exit status 2
"""
GO_DEADLOCK = """\
fatal error: all goroutines are asleep - deadlock!

goroutine 1 [chan receive]:
main.main()
\t/tmp/w/adder.go:8 +0x2f
"""
RUBY = """\
/tmp/w/e.rb:2:in `/': divided by 0 (ZeroDivisionError)
\tfrom /tmp/w/e.rb:2:in `f'
\tfrom /tmp/w/e.rb:4:in `<main>'
"""
MONO = """\

Unhandled Exception:
System.IndexOutOfRangeException: Index was outside the bounds of the array.
  at P.Main (System.String[] args) [0x00001] in /tmp/w/E.cs:6\x20
[ERROR] FATAL UNHANDLED EXCEPTION: System.IndexOutOfRangeException: Index was outside the bounds of the array.
  at P.Main (System.String[] args) [0x00001] in /tmp/w/E.cs:6\x20
"""
DOTNET = """\
Unhandled exception. System.DivideByZeroException: Attempted to divide by zero.
   at P.F(Int32 x) in /tmp/w/E.cs:line 4
   at P.Main(String[] args) in /tmp/w/E.cs:line 6
"""
GHC = """\
a.out: no such thing
CallStack (from HasCallStack):
  error, called at Main.hs:3:7 in main:Main
"""
RUST_OLD = "thread 'main' panicked at 'index out of bounds: the len is 2 but the index is 2', e.rs:1:35\n"
RUST_NEW = """\

thread 'main' (26287) panicked at src/main.rs:1:35:
index out of bounds: the len is 2 but the index is 2
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/59807616/library/std/src/panicking.rs:689:5
   3: e::add
             at ./src/main.rs:1:35
"""
CPP = """\
terminate called after throwing an instance of 'std::out_of_range'
  what():  vector::_M_range_check: __n (which is 3) >= this->size() (which is 0)
"""
CPP_BARE = "terminate called after throwing an instance of 'int'\n"
ASSERTION = "adder: c/exception.c:7: main: Assertion `a > b' failed.\n"
HEAP = "free(): double free detected in tcache 2\n"
STACK = "*** stack smashing detected ***: terminated\n"

PRINTED = {
    "python": (
        PYTHON,
        Trace("KeyError", "'b'", (Call("/tmp/w/node.py", 6, "add"), Call("/tmp/w/node.py", 10, "<module>"))),
    ),
    "python chain": (PYTHON_CHAIN, Trace("Odd", "", (Call("/tmp/w/a.py", 4, "<module>"),))),
    "python group": (
        PYTHON_GROUP,
        Trace("ExceptionGroup", "two (1 sub-exception)", (Call("/tmp/w/a.py", 3, "<module>"),)),
    ),
    "python syntax": (PYTHON_SYNTAX, Trace("SyntaxError", "expected ':'", (Call("/tmp/w/a.py", 3),), at_load=True)),
    "java": (
        JAVA,
        Trace(
            "IndexOutOfBoundsException",
            "Index 2 out of bounds for length 2",
            (Call("Main.java", 7, "add"), Call("Main.java", 16, "main")),
        ),
    ),
    "java cause": (
        JAVA_CAUSE,
        Trace(
            "ArithmeticException",
            "/ by zero",
            (Call("app/calc/Sum.java", 9, "of"), Call("app/Main.java", 3, "main"), Call("app/Main.java", 5, "main")),
        ),
    ),
    "java launcher": (JAVA_LAUNCHER, Trace("NullPointerException", "", (Call("Main.java", 4, "main"),))),
    "node": (
        NODE,
        Trace(
            "SyntaxError",
            "Unexpected non-whitespace character after JSON at position 2",
            (Call("/tmp/w/exception.js", 3, "add"), Call("/tmp/w/exception.js", 6, "Object.<anonymous>")),
        ),
    ),
    "node load": (
        NODE_LOAD,
        Trace("SyntaxError", "missing ) after argument list", (Call("/tmp/w/compile_error.js", 3),), at_load=True),
    ),
    "node required": (
        NODE_REQUIRED,
        Trace("SyntaxError", "Unexpected token ';'", (Call("/tmp/w/lib.js", 2),), at_load=True),
    ),
    "node type": (
        NODE_TYPE,
        Trace(
            "TypeError",
            'The "path" argument must be of type string. Received undefined',
            (Call("/tmp/w/a.mjs", 5, "main"),),
        ),
    ),
    "go": (
        GO,
        Trace(
            "panic",
            "runtime error: index out of range [2] with length 2",
            (Call("/tmp/w/adder.go", 6, "main.add"), Call("/tmp/w/adder.go", 15, "main.main")),
        ),
    ),
    "go deadlock": (
        GO_DEADLOCK,
        Trace("fatal error", "all goroutines are asleep - deadlock!", (Call("/tmp/w/adder.go", 8, "main.main"),)),
    ),
    "rust": (RUST_OLD, Trace("panic", "index out of bounds: the len is 2 but the index is 2", (Call("e.rs", 1),))),
    "rust with backtrace": (
        RUST_NEW,
        Trace(
            "panic",
            "index out of bounds: the len is 2 but the index is 2",
            (
                Call("src/main.rs", 1),
                Call("/rustc/59807616/library/std/src/panicking.rs", 689, "__rustc::rust_begin_unwind"),
                Call("./src/main.rs", 1, "e::add"),
            ),
        ),
    ),
    "c++": (CPP, Trace("std::out_of_range", "vector::_M_range_check: __n (which is 3) >= this->size() (which is 0)")),
    "c++ without words": (CPP_BARE, Trace("int", "")),
    "assert": (ASSERTION, Trace("assert", "a > b", (Call("c/exception.c", 7, "main"),))),
    "heap": (HEAP, Trace("heap", "free(): double free detected in tcache 2")),
    "stack": (STACK, Trace("heap", "stack smashing detected")),
}


@pytest.mark.parametrize("name", PRINTED)
def test_reads_what_a_runtime_prints(name: str) -> None:
    """Name, text and calls, innermost first; the runtime's own calls are left out where it marks them."""
    text, expected = PRINTED[name]
    assert read_trace(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "adding 1 2\n",
        "Error: my own words, and nothing uncaught\n",
        "panic: I print this myself\n",
        "ValueError\n",
        "Traceback (most recent call last):\n",
        'Traceback (most recent call last):\n  File "node.py", line ' + "9" * 5000 + ", in f\n",
    ],
)
def test_other_words_are_no_exception(text: str) -> None:
    """What a program prints itself is not taken for the end of it, and no number is too long to look at."""
    assert read_trace(text) is None


PIECES = sorted({piece for text, _ in PRINTED.values() for piece in text.splitlines(keepends=True)})


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=30).map("".join))
def test_any_text_can_be_read(text: str) -> None:
    """Lines of real traces in any order: no exception, and no frame without a line."""
    trace = read_trace(text)
    assert trace is None or all(0 <= frame.line < 10**7 for frame in trace.frames)


def test_reading_takes_linear_time() -> None:
    """Texts made to be slow to match are cut and read in one pass: there is nothing to compare but the answer."""
    for text in ('File "' * 100_000, "\tat a." * 100_000, "(" * 500_000, "thread 'main' panicked at '" * 50_000):
        assert read_trace(text) is None
    for bait in ("+.a", "-a", "/", ".a", "in a "):
        assert place_in(bait * 100_000, Context({}, "c")) is None


def test_same_file() -> None:
    """A printed path names a submitted file if it ends with all of its parts."""
    assert is_same_file("/tmp/w/src/main.rs", "src/main.rs")
    assert is_same_file("Main.java", "Main.java")
    assert not is_same_file("/tmp/w/other/main.rs", "src/main.rs")
    assert not is_same_file("/tmp/w/xmain.rs", "main.rs")


@pytest.mark.parametrize(
    ("runtime", "text", "expected"),
    [
        (
            "ruby",
            RUBY,
            Trace(
                "ZeroDivisionError",
                "divided by 0",
                (Call("/tmp/w/e.rb", 2, "/"), Call("/tmp/w/e.rb", 2, "f"), Call("/tmp/w/e.rb", 4, "<main>")),
            ),
        ),
        (
            "csharp",
            MONO,
            Trace(
                "IndexOutOfRangeException",
                "Index was outside the bounds of the array.",
                (Call("/tmp/w/E.cs", 6, "P.Main"), Call("/tmp/w/E.cs", 6, "P.Main")),
            ),
        ),
        (
            "csharp",
            DOTNET,
            Trace(
                "DivideByZeroException",
                "Attempted to divide by zero.",
                (Call("/tmp/w/E.cs", 4, "P.F"), Call("/tmp/w/E.cs", 6, "P.Main")),
            ),
        ),
        ("haskell", GHC, Trace("error", "no such thing", (Call("Main.hs", 3, "error"),))),
    ],
)
def test_some_runtimes_are_read_where_the_language_says_so(runtime: str, text: str, expected: Trace) -> None:
    """Programs in other languages print lines that look like theirs."""
    assert read_trace(text, runtime) == expected
    assert read_trace(text) is None
    assert read_trace(text[:40], runtime) is None
