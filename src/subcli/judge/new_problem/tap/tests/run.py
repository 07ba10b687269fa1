"""Runs the solution once for each test, and prints what came of it as TAP (https://testanything.org)."""

import os
import shlex
import subprocess

SOLUTION = shlex.split(os.environ["SUBCLI_SOLUTION"])
TESTS = [("2", "4"), ("-3", "9")]

print(f"1..{len(TESTS)}", flush=True)
for number, (question, answer) in enumerate(TESTS, 1):
    done = subprocess.run(SOLUTION, input=question, stdout=subprocess.PIPE, text=True)
    passed = done.returncode == 0 and done.stdout.strip() == answer
    print("ok" if passed else "not ok", number, "- the square of", question, flush=True)
