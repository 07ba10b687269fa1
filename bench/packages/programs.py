"""The programs in our packages: submissions, output validators, graders, and who they talk to."""

from __future__ import annotations

from typing import Final

ACTOR: Final = """\
import os, signal, sys
word = sys.stdin.read().split()[NUMBER]
if word == "ac":
    print("yes")
elif word == "wa":
    print("no")
elif word == "re":
    print("yes")
    sys.exit(3)
elif word == "sig":
    os.kill(os.getpid(), signal.SIGSEGV)
elif word == "tle":
    while True:
        pass
elif word == "mle":
    print(len(bytearray(1 << 29)))
elif word == "ole":
    sys.stdout.write("x" * (3 << 20))
elif word == "wait":
    sys.stdin.close()
    print("yes")
else:
    print(word)
"""
CHECKER: Final = """\
import os, pathlib, signal, sys, time
feedback = pathlib.Path(sys.argv[3])
output = sys.stdin.read().split()
word = output[0] if output else ""
(feedback / "judgemessage.txt").write_text(word)
name, _, value = word.partition("=")
if name == "score":
    (feedback / "score.txt").write_text(value)
elif word == "crash":
    os.kill(os.getpid(), signal.SIGABRT)
elif name == "exit":
    sys.exit(int(value))
elif name == "scorewa":
    (feedback / "score.txt").write_text(value)
    sys.exit(43)
elif word == "hang":
    while True:
        pass
elif word == "flags":
    sys.exit(42 if sys.argv[4:] == ["a", "b"] else 43)
elif word == "files":
    texts = [pathlib.Path(path).read_text() for path in sys.argv[1:3]]
    sys.exit(42 if "files" in texts[0] and texts[1] == "yes\\n" else 43)
elif word == "next":
    (feedback / "nextpass.in").write_text("ac " * 9)
    sys.exit(43)
sys.exit(42 if word == "yes" or name == "score" else 43)
"""
GRADER: Final = """\
import sys
results = [line.split() for line in sys.stdin]
if "crash" in sys.argv:
    raise SystemExit(1)
if "silent" in sys.argv:
    raise SystemExit(0)
if "many" in sys.argv:
    print("AC 1 2")
elif "early" in sys.argv:
    print(" AC 1")
elif "exponent" in sys.argv:
    print("AC 1e2")
elif "echo" in sys.argv:
    print(results[-1][0], results[-1][1])
else:
    good = [float(score) for verdict, score in results if verdict == "AC"]
    print("AC" if good else "WA", len(sys.argv) - 1 + sum(good) * 2)
"""
GUESSER: Final = """\
import sys
low, high = 1, 100
while True:
    middle = (low + high) // 2
    print(middle, flush=True)
    word = input()
    if word == "yes":
        break
    low, high = (middle + 1, high) if word == "higher" else (low, middle - 1)
"""
HOST: Final = """\
import sys
wanted = int(open(sys.argv[1]).read())
for _ in range(10):
    try:
        guess = int(sys.stdin.readline())
    except ValueError:
        sys.exit(43)
    if guess == wanted:
        print("yes", flush=True)
        sys.exit(42)
    print("higher" if guess < wanted else "lower", flush=True)
sys.exit(43)
"""
HOST_IN_C: Final = """\
#include <stdio.h>
int main(int argc, char **argv) {
    for (int round = 0; round < 5000; round++) {
        int number = 0;
        printf("%d and more words, so that a pipe has something to carry\\n", round);
        if (fflush(stdout)) return 43;
        if (scanf("%d", &number) != 1) return 43;
        if (number != round) return 43;
    }
    return 42;
}
"""
ECHO: Final = "import sys\nfor line in sys.stdin:\n    print(line.split()[0], flush=True)\n"
PASSES: Final = """\
import pathlib, sys
feedback = pathlib.Path(sys.argv[3])
count = int(open(sys.argv[1]).read())
state = feedback / "state"
state.write_text((state.read_text() if state.exists() else "") + "x")
if sys.stdin.read().split() != [str(count * count)]:
    sys.exit(43)
if count > 0:
    (feedback / "nextpass.in").write_text(str(count - 1))
sys.exit(42)
"""
SQUARE: Final = "n = int(input())\nprint(n * n)\n"
CHECKER_IN_C: Final = """\
#include <stdio.h>
int main(void) {
    char word[99];
    return scanf("%98s", word) == 1 && *word == 'y' ? 42 : 43;
}
"""
YES_IN_JAVA: Final = """\
class Yes {
    public static void main(String[] words) {
        System.out.println("yes");
    }
}
"""
