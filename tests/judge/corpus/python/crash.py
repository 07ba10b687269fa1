import os
import signal
import sys

for line in sys.stdin:
    a, b = map(int, line.split())
    os.kill(os.getpid(), signal.SIGSEGV)
