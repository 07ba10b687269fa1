"""One node of a cluster that elects a leader. The rules are in the problem's description.

The way in and out is here; the election is yours. As it stands the node starts and answers, and never leads.
"""

import json
import random
import sys


class Node:
    def __init__(self, init):
        self.id = init["node_id"]
        self.peers = [name for name in init["node_ids"] if name != self.id]
        self.timeout_range = init["election_timeout_ms"]  # [shortest, longest]
        self.heartbeat_ms = init["heartbeat_ms"]
        self.random = random.Random(init["seed"])
        self.now = init["now_ms"]
        self.term = init.get("saved", {}).get("term", 0)
        self.role = "follower"
        self.leader = None

    def send(self, dest, type, **fields):
        """Send a message to another node, to "disk" or to "judge"."""
        print(json.dumps({"src": self.id, "dest": dest, "body": {"type": type, **fields}}), flush=True)

    def on_tick(self, src, body):
        """Every ten milliseconds. Is it time to stand for election, or for heartbeats?"""
        self.now = body["now_ms"]
        self.send(src, "tick_ok")

    def on_read(self, src, body):
        self.send(src, "read_ok", term=self.term, role=self.role, leader=self.leader)

    def on_request_vote(self, src, body):
        """Someone stands for election. Answer with a "vote"."""

    def on_vote(self, src, body):
        """Someone answered. Is it a majority by now?"""

    def on_heartbeat(self, src, body):
        """Someone leads. Answer with a "heartbeat_ok"."""

    def on_heartbeat_ok(self, src, body):
        """A follower answered; its term may be higher than yours."""


def main():
    node = None
    for line in sys.stdin:
        message = json.loads(line)
        src, body = message["src"], message["body"]
        if body["type"] == "init":
            node = Node(body)
            node.send(src, "init_ok")
        else:
            getattr(node, "on_" + body["type"])(src, body)


main()
