import sys

kept = []
for line in sys.stdin:
    a, b = map(int, line.split())
    while True:
        kept.append(bytearray(1024 * 1024))
