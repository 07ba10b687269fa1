import sys

for line in sys.stdin:
    a, b = map(int, line.split())
    sys.stdout.write(f"{a + b}\n")
