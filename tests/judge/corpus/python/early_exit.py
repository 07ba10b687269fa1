import sys

line = sys.stdin.readline()
a, b = map(int, line.split())
print(a + b)
sys.exit(7)
