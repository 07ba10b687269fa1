import sys

for line in sys.stdin:
    a, b = map(int, line.split())
    print("adding", a, b, file=sys.stderr)
    print(a - b)
