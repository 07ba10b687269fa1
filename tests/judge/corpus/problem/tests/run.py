"""The adder's test, as TAP: an input, compared as a whole; with the argument `live`, line by line."""

import json
import os
import select
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


def converse(text):
    """Give one line at a time, and wait for the answer to each."""
    run = subprocess.Popen(
        [os.environ["SUBCLI_SOLUTION"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    )
    with run:
        for line, wanted in zip(text.splitlines(True), expected(text).splitlines(True), strict=True):
            run.stdin.write(line.encode())
            if not select.select([run.stdout], [], [], 1.5)[0]:
                run.kill()
                return {"message": "no answer", "kind": "silence", "program": "adder"}
            said = run.stdout.readline().decode("utf-8", "replace")
            if not said:
                return {"message": "it ended before it answered", "exit": run.wait(), "program": "adder"}
            if said != wanted:
                run.kill()
                return {"message": "the sums differ", "expected": wanted, "actual": said}
        run.stdin.close()
    return {}


def main():
    print("TAP version 14\n1..1", flush=True)
    if sys.argv[1:] == ["live"]:
        return report(1, *next((name, converse(text)) for name, text in CASES))
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
