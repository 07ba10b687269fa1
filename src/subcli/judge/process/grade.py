"""Runs a grader inside a sandbox: `python -I -S grade.py KIND PATTERN MAX_BYTES COMMAND ...`.

Where the solution's directory is read-only, as in a sandbox, the grader works in a copy of it. KIND says what our
stdout gets: `printed`, the command's stdout; `exit`, nothing; `files` and `gradescope`, the files that fit the pattern,
as one JSON object of name and base64. Such files that were there before, which only the solution can have brought, are
removed first. For `gradescope` the directory is /autograder. This process ends as the command ended.
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
import time

NOT_EXECUTABLE, NOT_FOUND = 126, 127
METADATA = "submission_metadata.json"
STARTLESS = "the grader's command cannot be started"
"""Begins the last line of stderr, where it is so. The command has not run then, so nobody else can have written it."""


def main() -> None:
    """Run the command, hand on its results, and end as it ended."""
    kind, pattern, limit, command = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
    # So that the solution, of the same user, does not open our stdout in /proc.
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
    is_sandboxed = not os.access(".", os.W_OK)
    if is_sandboxed:
        place = os.path.join(os.environ["TMPDIR"], "grading")
        shutil.copytree(".", place, symlinks=True)
        os.chdir(place)
    os.environ["HOME"] = os.getcwd()
    # `python3` is the Python beside which the packages of graders are installed.
    os.environ["PATH"] = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
    if kind == "gradescope":
        _lay_out_as_gradescope()
        if not is_sandboxed:
            command = [*_with_autograder(), *command]
    has_files = kind in ("files", "gradescope")
    if has_files:
        for name in glob.glob(pattern, recursive=True):
            shutil.rmtree(name) if os.path.isdir(name) and not os.path.islink(name) else os.unlink(name)
        if os.path.dirname(pattern) and not glob.has_magic(os.path.dirname(pattern)):
            os.makedirs(os.path.dirname(pattern), exist_ok=True)
    try:
        code = subprocess.call(command, stdout=1 if kind == "printed" else 2)
    except OSError as error:
        os.write(2, f"{STARTLESS}: {command[0]}: {error.strerror}\n".encode())
        sys.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
    if has_files:
        sys.stdout.write(json.dumps(_collect(pattern, limit)))
        sys.stdout.flush()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    os._exit(code)


def _lay_out_as_gradescope() -> None:
    """What /autograder has besides `source` and `submission`."""
    for name in ("source", "submission", "results"):
        os.makedirs(name, exist_ok=True)
    if os.path.exists("source/run_autograder"):
        shutil.copy("source/run_autograder", "run_autograder")
        os.chmod("run_autograder", 0o755)
    if os.path.exists(f"source/{METADATA}"):
        shutil.copy(f"source/{METADATA}", METADATA)
        return
    with open(METADATA, "w", encoding="utf-8") as file:
        json.dump(_metadata(), file)


def _metadata() -> "dict[str, object]":
    """What autograders read, of nobody in particular: who submitted is not known in a sandbox."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000+00:00", time.gmtime())
    never = "2999-12-31T23:59:59.000000+00:00"
    return {
        "id": 1,
        "created_at": now,
        "assignment": {
            "id": 1,
            "course_id": 1,
            "title": "Assignment",
            "release_date": now,
            "due_date": never,
            "late_due_date": None,
            "total_points": "100.0",
            "group_size": 1,
            "group_submission": False,
            "outline": None,
        },
        "submission_method": "upload",
        "users": [{"id": 1, "name": "Student", "email": "student@example.com"}],
        "previous_submissions": [],
    }


def _with_autograder() -> "list[str]":
    """The start of a command that runs where this directory is /autograder, and everything else as it is."""
    words = ["bwrap", "--die-with-parent", "--tmpfs", "/"]
    for name in os.listdir("/"):
        path = f"/{name}"
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path) and name != "autograder":
            words += ["--dev-bind", path, path]
    return [*words, "--bind", ".", "/autograder", "--chdir", "/autograder", "--"]


def _collect(pattern: str, limit: int) -> "dict[str, str]":
    """The regular files that fit the pattern. One more byte than allowed shows that there was too much."""
    found: dict[str, str] = {}
    left = limit + 1
    for name in sorted(glob.glob(pattern, recursive=True)):
        try:
            source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        if not stat.S_ISREG(os.fstat(source).st_mode) or left == 0:
            os.close(source)
            continue
        with open(source, "rb") as file:
            data = file.read(left)
        left -= len(data)
        found[name] = base64.b64encode(data).decode()
    return found


if __name__ == "__main__":
    main()
