import sys
import threading


def add(line):
    a, b = map(int, line.split())
    print({"a": a, "b": b}["sum"])


for line in sys.stdin:
    worker = threading.Thread(target=add, args=(line,))
    worker.start()
    worker.join()
