"""A cache that forgets what has not been used for the longest time. The commands are in the problem's description."""

import sys

capacity = 1
entries = {}

for line in sys.stdin:
    command, *words = line.split()
    answer = "none"
    if command == "capacity":
        capacity = int(words[0])
        answer = "ok"
    elif command == "put":
        pass  # key and value are words[0] and words[1]
    elif command == "get":
        pass
    elif command == "delete":
        pass
    elif command == "size":
        answer = len(entries)
    print(answer, flush=True)
