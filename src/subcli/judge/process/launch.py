"""Starts a process of the solution for tests that are no Python: `python -I -S launch.py PLAN [ARGUMENT ...]`.

PLAN is a file with the start plan, the command and the inode of the pipe that results are written to, as JSON. The
process leaves the session of the tests, which is how the supervisor knows it from them, and becomes the solution.
"""

import json
import os
import sys


def main() -> None:
    """Become the solution."""
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    try:
        os.setsid()
    except PermissionError:
        # Whoever started this made it the leader of a process group; such a one cannot leave its session. Its
        # child can.
        child = os.fork()
        if child:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            os._exit(code if code >= 0 else 128 - code)
        os.setsid()
    # Whoever started this did not ask for what is printed; it would be read as results.
    if os.fstat(2).st_ino == plan["results"]:
        # As behind `2>&1`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if os.fstat(1).st_ino == plan["results"]:
        os.dup2(2, 1)
    os.closerange(3, 65_536)
    os.chdir(plan["directory"])
    command = [*plan["prefix"], *plan["command"], *sys.argv[2:]]
    os.execvpe(command[0], command, plan["environment"])


if __name__ == "__main__":
    main()
