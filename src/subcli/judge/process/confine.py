"""Confines its process, then executes another program: `python -I -S confine.py [--OPTION=VALUE ...] -- PROGRAM ...`.

    --file-size=BYTES --address-space=BYTES --open-files=N --tasks=N --pending-signals=N   resource limits
    --group=DIRECTORY   join this control group before any limit applies (one option for each hierarchy)
    --user=N            become this user and group, with no supplementary groups
    --apart=N           become a user that no other process has, in this group
    --filter=FILE       open this file; `{filter}` in PROGRAM's arguments becomes its descriptor
    --enter=N,...       enter the namespaces that these descriptors refer to; see `mounts`

The program also gets a lower priority than the judge, and the signals that Python ignores. A process with one thread
calls `main` in a fork of its own; in one with more that is not safe. This imports only what it needs, because it runs
before every node.
"""

import _signal  # type: ignore[import-not-found]  # the half that is written in C
import os
import resource
import sys

_LIMITS = {
    "--file-size": resource.RLIMIT_FSIZE,
    "--address-space": resource.RLIMIT_AS,
    "--open-files": resource.RLIMIT_NOFILE,
    "--tasks": resource.RLIMIT_NPROC,
    "--locked-memory": resource.RLIMIT_MEMLOCK,
    "--pending-signals": resource.RLIMIT_SIGPENDING,
}
FIRST_APART = 2_040_000_000
"""Below that come the users of submissions (`sandbox/identity.py`)."""
NICENESS = 5
"""How far every process of a solution stands back behind the judge and the server, which share its processors."""
ENTER = "--enter={mounts}"
"""Stands in a prefix for the option, as each process has descriptors of its own."""
_OWN_ADDRESS_SPACE = 64 * 1024 * 1024
"""What an interpreter is sure to get along with."""
NOT_FOUND = 127
NOT_EXECUTABLE = 126


def _limit(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


def entering(prefix: "list[str]", descriptors: "list[int]") -> "list[str]":
    """The prefix with these descriptors in place of `ENTER`."""
    option = "--enter=" + ",".join(map(str, descriptors))
    return [option if word == ENTER else word for word in prefix]


def close_others(kept: "list[int]") -> None:
    """Close every descriptor but the first three and these."""
    first = 3
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = max(first, descriptor + 1)
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def _join(group: str) -> None:
    # This process has one thread. Moving that alone takes no lock that waits for every processor; only version 1 can.
    for name in ("tasks", "cgroup.procs"):
        try:
            descriptor = os.open(f"{group}/{name}", os.O_WRONLY)
        except FileNotFoundError:
            continue
        os.write(descriptor, b"0")
        os.close(descriptor)
        return
    raise FileNotFoundError(2, "no such control group", group)


def _enter(namespaces: "list[int]") -> None:
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    for descriptor in namespaces:
        if library.setns(descriptor, 0) != 0:
            raise OSError(ctypes.get_errno(), "the namespaces of the sandboxes cannot be entered")
        os.close(descriptor)


def _become(user: int, group: int) -> None:
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    # What a build writes, the nodes must be able to read, as other users of its group.
    os.umask(0o027)


def _stand_back() -> None:
    """Get less of a busy processor, and never preempt others (sched(7), SCHED_BATCH). An idle one is all ours."""
    os.nice(NICENESS)
    try:  # noqa: SIM105 -- importing contextlib takes as long as all the rest here
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        # A container may forbid it. Judging works without.
        pass


def can_bound(words: "list[str]") -> bool:
    """Whether a process can have the limits of a prefix itself, so that what it spawns has them from the start.

    It cannot if it would need more memory itself, or if there is more to do for each program.

    Args:
        words: The options of the prefix, and the `--` at its end.
    """
    options = _options(words[:-1])
    too_tight = any(name == "--address-space" and int(value) < _OWN_ADDRESS_SPACE for name, value in options)
    return words[-1:] == ["--"] and all(name in _LIMITS for name, _ in options) and not too_tight


def bound(words: "list[str]") -> None:
    """Give this process itself the limits of a prefix for which `can_bound` holds."""
    address_space = _bound(_options(words[:-1]))
    if address_space is not None:
        _limit(resource.RLIMIT_AS, address_space)


def _options(words: "list[str]") -> "list[tuple[str, str]]":
    return [(name, value) for name, _, value in (word.partition("=") for word in words)]


def _bound(options: "list[tuple[str, str]]") -> "int | None":
    """Set all limits but that of the address space, which is returned, and stand back."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limits = {_LIMITS[name]: int(value) for name, value in options if name in _LIMITS}
    # Last: this process itself may have more already, and gets no more from there on.
    address_space = limits.pop(resource.RLIMIT_AS, None)
    for kind, limit in limits.items():
        _limit(kind, limit)
    _stand_back()
    return address_space


def main(arguments: list[str], environment: "dict[str, str] | None" = None) -> None:
    """Confine this process and execute the program.

    Args:
        arguments: Options, `--`, and the program with its arguments.
        environment: The program's. Default: that of this process.
    """
    end = arguments.index("--")
    command = arguments[end + 1 :]
    options = _options(arguments[:end])
    for name, value in options:
        if name == "--group":
            _join(value)
        elif name == "--filter":
            # Before changing the user: only the judge can read the file.
            descriptor = os.open(value, os.O_RDONLY)
            os.set_inheritable(descriptor, True)
            command = [str(descriptor) if word == "{filter}" else word for word in command]
    for name, value in options:
        if name == "--enter":
            # After everything that this process finds in the file system of the judge.
            _enter([int(number) for number in value.split(",")])
    address_space = _bound(options)
    for name, value in options:
        if name == "--user":
            _become(int(value), int(value))
        elif name == "--apart":
            # Numbers of processes that live have at most 22 bits, and are different.
            _become(FIRST_APART + os.getpid(), int(value))
    if address_space is not None:
        _limit(resource.RLIMIT_AS, address_space)
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, os.environ if environment is None else environment)
    except FileNotFoundError:
        # Not to `sys.stderr`, which a caller may have replaced.
        os.write(2, f"{command[0]}: command not found\n".encode())
        sys.exit(NOT_FOUND)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
        sys.exit(NOT_EXECUTABLE)


if __name__ == "__main__":
    main(sys.argv[1:])
