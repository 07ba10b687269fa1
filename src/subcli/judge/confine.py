"""Set resource limits, then become another program: `python -I -S confine.py [--LIMIT=N ...] -- PROGRAM ...`.

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
}
NOT_FOUND = 127
NOT_EXECUTABLE = 126


def _limit(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


def main(arguments: list[str]) -> None:
    end = arguments.index("--")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for option in arguments[:end]:
        name, _, value = option.partition("=")
        _limit(_LIMITS[name], int(value))
    command = arguments[end + 1 :]
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
