"""The adder's test: an input, compared line by line, as TAP."""

import json
import os
import subprocess
import sys

CASES = (("two sums", "1 2\n30 40\n"),)


def expected(text):
    return "".join(f"{sum(map(int, line.split()))}\n" for line in text.splitlines())


def report(number, name, problems):
    print(f"{'not ok' if problems else 'ok'} {number} - {name}")
    if problems:
        print("  ---")
        for key, value in problems.items():
            print(f"  {key}: {json.dumps(value)}")
        print("  ...")
    sys.stdout.flush()


def main():
    print("TAP version 14\n1..1", flush=True)
    for number, (name, text) in enumerate(CASES, 1):
        done = subprocess.run([os.environ["SUBCLI_SOLUTION"]], input=text.encode(), capture_output=True)
        out = done.stdout.decode("utf-8", "replace")[:4000]
        err = done.stderr.decode("utf-8", "replace")[-4000:]
        problems = {}
        if done.returncode:
            problems = {"message": f"it ended with exit code {done.returncode}", "exit": done.returncode, "stderr": err}
        elif out != expected(text):
            problems = {"message": "the sums differ", "expected": expected(text), "actual": out, "stderr": err}
        report(number, name, problems)


main()
