"""Confine this process, then become another program: `python -I -S confine.py [--OPTION=VALUE ...] -- PROGRAM ...`.

    --file-size=BYTES --address-space=BYTES --open-files=N --tasks=N   resource limits
    --group=DIRECTORY   join this control group, before anything is limited (again for each hierarchy)
    --user=N            become this user and group, with no other groups
    --filter=FILE       open this file; `{filter}` among the program's words becomes its descriptor

A program of its own instead of a `preexec_fn`, which is unsafe beside threads. It imports nothing that it does not
need, because it stands before every node that is started.
"""

import os
import resource
import sys

_LIMITS = {
    "--file-size": resource.RLIMIT_FSIZE,
    "--address-space": resource.RLIMIT_AS,
    "--open-files": resource.RLIMIT_NOFILE,
    "--tasks": resource.RLIMIT_NPROC,
    "--locked-memory": resource.RLIMIT_MEMLOCK,
}
NOT_FOUND = 127
NOT_EXECUTABLE = 126


def _limit(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


def _join(group: str) -> None:
    with open(f"{group}/cgroup.procs", "w") as file:
        file.write("0")


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def main(arguments: list[str]) -> None:
    end = arguments.index("--")
    command = arguments[end + 1 :]
    options = [option.partition("=")[::2] for option in arguments[:end]]
    for name, value in options:
        if name == "--group":
            _join(value)
        elif name == "--filter":
            # Before the user is given up: the file is the judge's own.
            descriptor = os.open(value, os.O_RDONLY)
            os.set_inheritable(descriptor, True)
            command = [str(descriptor) if word == "{filter}" else word for word in command]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, value in options:
        if name in _LIMITS:
            _limit(_LIMITS[name], int(value))
    for name, value in options:
        if name == "--user":
            _become(int(value))
    try:
        os.execvp(command[0], command)
    except FileNotFoundError:
        sys.stderr.write(f"{command[0]}: command not found\n")
        sys.exit(NOT_FOUND)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(NOT_EXECUTABLE)


if __name__ == "__main__":
    main(sys.argv[1:])
