"""A minimal script with httpx and websockets: submit, open the socket, print the first event."""

import sys

import httpx
from websockets.sync.client import connect

server, path = sys.argv[1:]
with open(path) as file:
    body = {"problem": "leader-election", "language": "python", "source_code": file.read()}
answer = httpx.post(f"{server}/api/submissions", json=body).json()
with connect(f"ws{server[4:]}/ws/submissions/{answer['submission_id']}") as socket:
    print(socket.recv(), flush=True)
