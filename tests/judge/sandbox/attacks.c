/* A submission in C that makes the system calls which Python has no words for, with arguments that are hard to filter.

   Each attack runs in a child of its own. None of them harms anything where it succeeds: no files are removed, nothing
   else is signalled, and nothing at all is tried as root. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define HIGH ((long)1 << 32) /* the kernel takes the low half of these arguments, a filter may see both */

static long pair(int type, int *two) { return syscall(SYS_socketpair, AF_UNIX, type, 0, two); }

static long send_right(int with_credentials) {
    int two[2];
    char byte = 'x', control[CMSG_SPACE(sizeof(struct ucred))] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control};
    message.msg_controllen = with_credentials ? CMSG_SPACE(sizeof(struct ucred)) : CMSG_SPACE(sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = with_credentials ? SCM_CREDENTIALS : SCM_RIGHTS;
    head->cmsg_len = with_credentials ? CMSG_LEN(sizeof(struct ucred)) : CMSG_LEN(sizeof(int));
    if (with_credentials)
        *(struct ucred *)CMSG_DATA(head) = (struct ucred){getpid(), getuid(), getgid()};
    if (pair(SOCK_STREAM, two) < 0)
        return -1;
    return sendmsg(two[0], &message, 0);
}

static long send_many(void) {
    int two[2];
    struct mmsghdr messages[2];
    memset(messages, 0, sizeof messages);
    if (pair(SOCK_DGRAM, two) < 0)
        return -1;
    return syscall(SYS_sendmmsg, two[0], messages, 2, 0);
}

static long enlarge(int option) {
    int two[2], size = 1 << 22;
    if (pair(SOCK_SEQPACKET, two) < 0)
        return -1;
    return setsockopt(two[0], SOL_SOCKET, option, &size, sizeof size);
}

static long on_pair(int call) {
    int two[2];
    char address[16] = {AF_UNIX, 0, 0, 's', 'u', 'b', 'c', 'l', 'i'};
    if (pair(SOCK_DGRAM, two) < 0)
        return -1;
    return syscall(call, two[0], call == SYS_listen ? (long)1 : (long)address, (long)9, 0);
}

static long control(int command, long value) {
    int two[2];
    if (pipe(two) < 0)
        return -1;
    return fcntl(two[1], command, value);
}

static long lock(int command) {
    struct flock whole = {.l_type = F_RDLCK};
    return fcntl(open("/proc/self/exe", O_RDONLY), command, &whole);
}

static long control_of_file(int command, long value) { return fcntl(open("/proc/self/exe", O_RDONLY), command, value); }

static long writable(const char *path) { return open(path, O_WRONLY); }

static long raise_limit(int kind) {
    struct rlimit limit;
    getrlimit(kind, &limit);
    if (limit.rlim_max == RLIM_INFINITY)
        return 0;
    limit.rlim_max += 1;
    return setrlimit(kind, &limit);
}

static long take_capability(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct all[2] = {{~0u, ~0u, 0}, {~0u, ~0u, 0}};
    return syscall(SYS_capset, &head, all);
}

static long run_in_time(int policy) {
    struct sched_param first = {1};
    return sched_setscheduler(0, policy, &first);
}

static long memory_of_parent(int call) {
    char byte;
    struct iovec vector = {&byte, 1};
    return syscall(call, getppid(), &vector, 1, &vector, 1, 0);
}

static long cached(void) {
    char byte;
    struct iovec vector = {&byte, 1};
    return syscall(SYS_preadv2, open("/proc/self/exe", O_RDONLY), &vector, 1, 0, 0, 8 | 1);
}

static long allocate(int mode) { return fallocate(open("/tmp", O_TMPFILE | O_RDWR, 0600), mode, 0, 1 << 16); }

static long clone3(long flags) {
    uint64_t arguments[11] = {(uint64_t)flags, [4] = SIGCHLD};
    long child = syscall(435, arguments, sizeof arguments);
    if (child == 0)
        _exit(0);
    return child;
}

static long clone_with(long flags) {
    long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    return child;
}

static long handle(void) {
    struct { unsigned bytes; int type; char data[128]; } found = {128, 0, {0}};
    int mount;
    return syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &found, &mount, 0);
}

static long descriptor_of_first(void) {
    int first = (int)syscall(434, 1, 0);
    return first < 0 ? -1 : syscall(438, first, 0, 0);
}

static long queue_for(const char *name) { return syscall(SYS_mq_open, name, O_CREAT | O_RDWR, 0600, 0); }

/* The other system calls of an x86-64 machine: those of i386, and those of the x32 ABI. */
static long i386(long number) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(0L), "c"(0L), "d"(0L)
                     : "memory", "r8", "r9", "r10", "r11");
    if (result < 0) {
        errno = (int)-result;
        return -1;
    }
    return result;
#else
    (void)number;
    errno = ENOSYS;
    return -1;
#endif
}

static long x32(long number) {
#ifdef __x86_64__
    return syscall(0x40000000L | number, 0, 0, 0);
#else
    (void)number;
    errno = ENOSYS;
    return -1;
#endif
}

#define ATTACKS(TRY)                                                                                                   \
    /* sockets */                                                                                                      \
    TRY(socket_inet, syscall(SYS_socket, AF_INET, SOCK_STREAM, 0))                                                     \
    TRY(socket_inet6, syscall(SYS_socket, AF_INET6, SOCK_DGRAM, 0))                                                    \
    TRY(socket_unix, syscall(SYS_socket, AF_UNIX, SOCK_DGRAM, 0))                                                      \
    TRY(socket_netlink, syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0))                                                  \
    TRY(socket_packet, syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0))                                                    \
    TRY(socket_vsock, syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0))                                                   \
    TRY(socket_alg, syscall(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0))                                                    \
    TRY(socket_high_bits, syscall(SYS_socket, HIGH | AF_INET, SOCK_STREAM, 0))                                         \
    TRY(socketpair_inet, syscall(SYS_socketpair, AF_INET, SOCK_STREAM, 0, (int[2]){0}))                                \
    TRY(socketpair_tipc, syscall(SYS_socketpair, AF_TIPC, SOCK_SEQPACKET, 0, (int[2]){0}))                             \
    TRY(socketpair_high_bits, syscall(SYS_socketpair, HIGH | AF_TIPC, SOCK_SEQPACKET, 0, (int[2]){0}))                 \
    TRY(pass_descriptors, send_right(0))                                                                               \
    TRY(pass_credentials, send_right(1))                                                                               \
    TRY(send_many, send_many())                                                                                        \
    TRY(enlarge_send_buffer, enlarge(SO_SNDBUF))                                                                       \
    TRY(enlarge_receive_buffer, enlarge(SO_RCVBUF))                                                                    \
    TRY(bind_a_pair, on_pair(SYS_bind))                                                                                \
    TRY(connect_a_pair, on_pair(SYS_connect))                                                                          \
    TRY(listen_on_a_pair, on_pair(SYS_listen))                                                                         \
    TRY(accept_on_a_pair, on_pair(SYS_accept4))                                                                        \
    /* namespaces and mounts */                                                                                        \
    TRY(unshare_user, unshare(CLONE_NEWUSER))                                                                          \
    TRY(unshare_mounts, unshare(CLONE_NEWNS))                                                                          \
    TRY(unshare_high_bits, syscall(SYS_unshare, HIGH | CLONE_NEWUSER))                                                 \
    TRY(clone_user, clone_with(CLONE_NEWUSER))                                                                         \
    TRY(clone_network, clone_with(CLONE_NEWUSER | CLONE_NEWNET))                                                       \
    TRY(clone3_user, clone3(CLONE_NEWUSER))                                                                            \
    TRY(clone3_into_group, clone3(0x200000000))                                                                        \
    TRY(enter_namespace, setns(open("/proc/1/ns/mnt", O_RDONLY), 0))                                                   \
    TRY(mount_memory, syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0))                                               \
    TRY(mount_again, syscall(SYS_mount, 0, "/", 0, 32 /* MS_REMOUNT */, 0))                                            \
    TRY(unmount, syscall(SYS_umount2, "/proc/stat", 2))                                                                \
    TRY(turn_root, syscall(SYS_pivot_root, "/tmp", "/tmp"))                                                            \
    TRY(change_root, chroot("/tmp"))                                                                                   \
    TRY(open_tree, syscall(428, AT_FDCWD, "/", 1))                                                                     \
    TRY(move_mount, syscall(429, AT_FDCWD, "/usr", AT_FDCWD, "/tmp", 0))                                               \
    TRY(open_file_system, syscall(430, "proc", 0))                                                                     \
    TRY(set_mount, syscall(442, AT_FDCWD, "/", 0, (uint64_t[4]){0}, 32))                                               \
    /* other processes */                                                                                              \
    TRY(trace_me, ptrace(PTRACE_TRACEME, 0, 0, 0))                                                                     \
    TRY(seize_first, ptrace(PTRACE_SEIZE, 1, 0, 0))                                                                    \
    TRY(read_memory, memory_of_parent(SYS_process_vm_readv))                                                           \
    TRY(write_memory, memory_of_parent(SYS_process_vm_writev))                                                         \
    TRY(take_descriptor, descriptor_of_first())                                                                        \
    TRY(compare_kernel_objects, syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0))                                        \
    TRY(memory_of_first, writable("/proc/1/mem"))                                                                      \
    /* privileges and priorities */                                                                                    \
    TRY(become_root, setresuid(0, 0, 0))                                                                               \
    TRY(join_root, setresgid(0, 0, 0))                                                                                 \
    TRY(take_capabilities, take_capability())                                                                          \
    TRY(ambient_capability, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0))                          \
    TRY(allow_new_privileges, prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0))                                                  \
    TRY(leave_seccomp, prctl(PR_SET_SECCOMP, 0, 0, 0, 0))                                                              \
    TRY(real_time, run_in_time(SCHED_FIFO))                                                                            \
    TRY(come_before_others, setpriority(PRIO_PROCESS, 0, -20))                                                         \
    TRY(disk_before_others, syscall(SYS_ioprio_set, 1, 0, 1 << 13))                                                    \
    TRY(more_processes, raise_limit(RLIMIT_NPROC))                                                                     \
    TRY(more_files, raise_limit(RLIMIT_NOFILE))                                                                        \
    TRY(bigger_files, raise_limit(RLIMIT_FSIZE))                                                                       \
    TRY(more_signals, raise_limit(RLIMIT_SIGPENDING))                                                                  \
    TRY(dump_core, raise_limit(RLIMIT_CORE))                                                                           \
    TRY(lock_memory, mlock(mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1 << 20))     \
    /* the kernel */                                                                                                   \
    TRY(bpf, syscall(SYS_bpf, 0, (char[128]){0}, 128))                                                                 \
    TRY(performance_events, syscall(SYS_perf_event_open, (char[128]){0}, 0, -1, -1, 0))                                \
    TRY(io_uring, syscall(425, 8, (char[128]){0}))                                                                     \
    TRY(asynchronous_requests, syscall(SYS_io_setup, 8, &(long){0}))                                                   \
    TRY(handle_page_faults, syscall(SYS_userfaultfd, 1))                                                               \
    TRY(read_kernel_log, syscall(SYS_syslog, 10, 0, 0))                                                                \
    TRY(load_module, syscall(SYS_init_module, "", 0, ""))                                                              \
    TRY(load_kernel, syscall(SYS_kexec_load, 0, 0, 0, 0))                                                              \
    TRY(add_a_key, syscall(SYS_add_key, "user", "subcli", "x", 1, -3))                                                 \
    TRY(read_keys, syscall(SYS_keyctl, 0, -3, 1))                                                                      \
    TRY(file_handle, handle())                                                                                         \
    TRY(name_the_host, sethostname("subcli", 6))                                                                       \
    TRY(personality, syscall(SYS_personality, 0x0400000))                                                              \
    TRY(memory_policy, syscall(SYS_set_mempolicy, 0, 0, 0))                                                            \
    TRY(newest_call, syscall(1000))                                                                                    \
    TRY(call_of_i386, i386(20))                                                                                        \
    TRY(socket_of_i386, i386(359))                                                                                     \
    TRY(call_of_x32, x32(SYS_getpid))                                                                                  \
    TRY(socket_of_x32, x32(SYS_socket))                                                                                \
    /* memory and files that nobody counts, or everybody shares */                                                     \
    TRY(memory_file, syscall(SYS_memfd_create, "subcli", 0))                                                           \
    TRY(secret_memory, syscall(447, 0))                                                                                \
    TRY(shared_memory, syscall(SYS_shmget, 0, 4096, 01600))                                                            \
    TRY(message_queue, syscall(SYS_msgget, 0, 01600))                                                                  \
    TRY(semaphores, syscall(SYS_semget, 0, 1, 01600))                                                                  \
    TRY(posix_queue, queue_for("subcli"))                                                                              \
    TRY(allocate_at_once, allocate(0))                                                                                 \
    TRY(allocate_beyond_the_end, allocate(1))                                                                          \
    TRY(enlarge_pipe, control(F_SETPIPE_SZ, 1 << 20))                                                                  \
    TRY(ask_what_is_cached, cached())                                                                                  \
    TRY(watch_files, syscall(SYS_inotify_init1, 0))                                                                    \
    TRY(watch_all_files, syscall(SYS_fanotify_init, 0, 0))                                                             \
    TRY(record_lock, lock(F_SETLK))                                                                                    \
    TRY(lock_of_open_file, lock(F_OFD_SETLK))                                                                          \
    TRY(query_lock, lock(F_GETLK))                                                                                     \
    TRY(whole_lock, syscall(SYS_flock, open("/proc/self/exe", O_RDONLY), 1))                                           \
    TRY(lease, control_of_file(F_SETLEASE, F_RDLCK))                                                                   \
    TRY(named_pipe, syscall(SYS_mknodat, AT_FDCWD, "fifo", S_IFIFO | 0600, 0))                                         \
    TRY(disk_device, syscall(SYS_mknodat, AT_FDCWD, "disk", S_IFBLK | 0600, 0xfe00))                                   \
    TRY(terminal, open("/dev/ptmx", O_RDWR | O_NOCTTY))                                                                \
    TRY(own_terminal, open("/dev/tty", O_RDWR | O_NOCTTY))                                                             \
    TRY(type_for_others, ioctl(0, 0x5412, "x"))                                                                        \
    TRY(type_high_bits, syscall(SYS_ioctl, 0, HIGH | 0x5412, "x"))                                                     \
    TRY(write_program, writable("/proc/self/exe"))                                                                     \
    TRY(write_core_pattern, writable("/proc/sys/kernel/core_pattern"))                                                 \
    TRY(write_own_memory, writable("/proc/self/mem"))                                                                  \
    TRY(spare_from_memory_killer, writable("/proc/self/oom_score_adj"))                                                \
    TRY(write_libraries, writable("/usr/bin/env"))                                                                     \
    TRY(read_accounts, open("/etc/passwd", O_RDONLY))                                                                  \
    TRY(see_control_groups, open("/sys/fs/cgroup", O_RDONLY))

struct attack {
    const char *name;
    long (*run)(void);
};
#define DEFINE(name, expression)                                                                                       \
    static long attack_##name(void) { return expression; }
ATTACKS(DEFINE)
#define LIST(name, expression) {#name, attack_##name},
static const struct attack attacks[] = {ATTACKS(LIST)};

static int outcome(const struct attack *each) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        alarm(5);
        errno = 0;
        _exit(each->run() < 0 ? (errno ? errno : 254) : 0);
    }
    waitpid(child, &status, 0);
    return status;
}

/* What came of all: how many they were, which succeeded, and how the others ended. */
static void try_all(void) {
    const int count = sizeof attacks / sizeof *attacks;
    static char answered[1 << 16];
    const char *comma = "";
    printf("{\"tried\": %d, \"succeeded\": [", count);
    for (int at = 0; at < count; at++) {
        fflush(stdout); /* what is in the buffer is in each child's as well */
        int status = outcome(&attacks[at]);
        answered[status & 0xffff] = 1;
        if (status == 0) {
            printf("%s\"%s\"", comma, attacks[at].name);
            comma = ", ";
        }
    }
    printf("], \"answers\": [");
    comma = "";
    for (int status = 1; status < (int)sizeof answered; status++) {
        if (!answered[status])
            continue;
        if (WIFSIGNALED(status))
            printf("%s\"signal %d\"", comma, WTERMSIG(status));
        else
            printf("%s\"%s\"", comma, strerrorname_np(WEXITSTATUS(status)));
        comma = ", ";
    }
    printf("]}");
}

int main(int argc, char **argv) {
    static char line[1 << 16];
    (void)argv;
    if (geteuid() == 0)
        return 1;
    if (argc > 1) {
        try_all();
        return 0;
    }
    while (fgets(line, sizeof line, stdin)) {
        if (strstr(line, "\"attack\"")) {
            fputs("{\"dest\": \"judge\", \"body\": {\"type\": \"attack_ok\", \"got\": {\"c\": ", stdout);
            try_all();
            puts("}}}");
        } else {
            puts(strstr(line, "\"init\"") ? "{\"dest\": \"judge\", \"body\": {\"type\": \"init_ok\"}}"
                                          : "{\"dest\": \"judge\", \"body\": {\"type\": \"tick_ok\"}}");
        }
        fflush(stdout);
    }
    return 0;
}
