"""The test of a hello-world: it must print `hello`. Prints TAP 14."""

import os
import subprocess

SHOWN = 500

print("TAP version 14\n1..1")
done = subprocess.run(
    [os.environ["SUBCLI_SOLUTION"]], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
)
if done.returncode == 0 and done.stdout.strip() == "hello":
    print("ok 1 - Says hello")
else:
    print("not ok 1 - Says hello")
    said = " ".join((done.stderr.strip() or done.stdout.strip()).split())[-SHOWN:]
    message = f"exit code {done.returncode}: {said or 'no output'}".replace("'", "''")
    print(f"  ---\n  message: '{message}'\n  ...")
