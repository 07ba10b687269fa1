import sys

for line in sys.stdin:
    a, b = map(int, line.split())
    while True:
        print(a + b)
