import sys

line = sys.stdin.readline()
sys.exit(0)
