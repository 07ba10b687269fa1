"""Runs a grader inside a sandbox: `python -I -S grade.py RESULTS MAX_BYTES COMMAND ...`.

Where the solution's directory is read-only, the grader works in a copy of it. RESULTS is `tap`: the command's stdout is
passed on. Or it is a pattern: the command's stdout joins its stderr, and in the end our stdout gets the files that fit
the pattern, as one JSON object of name and base64. Such files that were there before, which only the solution can have
brought, are removed first. This process ends as the command ended.
"""

import base64
import ctypes
import glob
import json
import os
import shutil
import signal
import stat
import subprocess
import sys

NOT_EXECUTABLE, NOT_FOUND = 126, 127
STARTLESS = "the grader's command cannot be started"
"""Begins the last line of stderr, where it is so. The command has not run then, so nobody else can have written it."""


def main() -> None:
    """Run the command, hand on its results, and end as it ended."""
    pattern, limit, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    # So that the solution, of the same user, does not open our stdout in /proc.
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
    if not os.access(".", os.W_OK):
        place = os.path.join(os.environ["TMPDIR"], "grading")
        shutil.copytree(".", place, symlinks=True)
        os.chdir(place)
    os.environ["HOME"] = os.getcwd()
    is_tap = pattern == "tap"
    if not is_tap:
        for name in glob.glob(pattern, recursive=True):
            shutil.rmtree(name) if os.path.isdir(name) and not os.path.islink(name) else os.unlink(name)
        if os.path.dirname(pattern) and not glob.has_magic(os.path.dirname(pattern)):
            os.makedirs(os.path.dirname(pattern), exist_ok=True)
    try:
        code = subprocess.call(command, stdout=1 if is_tap else 2)
    except OSError as error:
        os.write(2, f"{STARTLESS}: {command[0]}: {error.strerror}\n".encode())
        sys.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
    if not is_tap:
        sys.stdout.write(json.dumps(_collect(pattern, limit)))
        sys.stdout.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    os._exit(code)


def _collect(pattern: str, limit: int) -> "dict[str, str]":
    """The regular files that fit the pattern. One more byte than allowed shows that there was too much."""
    found: dict[str, str] = {}
    left = limit + 1
    for name in sorted(glob.glob(pattern, recursive=True)):
        try:
            source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        with open(source, "rb") as file:
            if stat.S_ISREG(os.fstat(source).st_mode) and left > 0:
                data = file.read(left)
                left -= len(data)
                found[name] = base64.b64encode(data).decode()
    return found


if __name__ == "__main__":
    main()
