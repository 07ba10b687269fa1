import sys


def add(words):
    seen = {"a": int(words[0])}
    return seen["a"] + seen["b"]


for line in sys.stdin:
    print(add(line.split()))
