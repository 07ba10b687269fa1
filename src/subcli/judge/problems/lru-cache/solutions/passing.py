"""An LRU cache on an ordered dictionary: the last entry is the one used most recently."""

import sys
from collections import OrderedDict

entries = OrderedDict()
capacity = 1

for line in sys.stdin:
    command, *words = line.split()
    answer = "ok"
    if command == "capacity":
        capacity = int(words[0])
    elif command == "put":
        key, value = words
        if key not in entries and len(entries) == capacity:
            answer = f"evicted {entries.popitem(last=False)[0]}"
        entries[key] = value
        entries.move_to_end(key)
    elif command == "get":
        answer = entries.get(words[0], "none")
        if words[0] in entries:
            entries.move_to_end(words[0])
    elif command == "delete":
        answer = "none" if entries.pop(words[0], None) is None else "ok"
    elif command == "size":
        answer = len(entries)
    print(answer, flush=True)
