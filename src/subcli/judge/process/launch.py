"""Starts a process of the solution for a TAP command: `python -I -S launch.py PLAN [ARGUMENT ...]`.

PLAN is a JSON file with the start plan, the command and the inode of the pipe for results. The process leaves the
session of the tests, which is how the supervisor tells it from them, and becomes the solution.
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
        # The parent made this process the leader of a process group. A leader cannot leave its session; its child
        # can.
        child = os.fork()
        if child:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            os._exit(code if code >= 0 else 128 - code)
        os.setsid()
    # The test command lets the solution inherit the pipe for results, where its output would be read as results.
    if os.fstat(2).st_ino == plan["results"]:
        # stderr was redirected to the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if os.fstat(1).st_ino == plan["results"]:
        os.dup2(2, 1)
    os.closerange(3, 65_536)
    os.chdir(plan["directory"])
    command = [*plan["prefix"], *plan["command"], *sys.argv[2:]]
    os.execvpe(command[0], command, plan["environment"])


if __name__ == "__main__":
    main()
