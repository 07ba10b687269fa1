import sys

for line in sys.stdin:
    a, b = map(int, line.split())
    while True:
        a += 1
