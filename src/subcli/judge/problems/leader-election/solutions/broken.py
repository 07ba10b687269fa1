"""Raft's leader election: one node, speaking JSON lines over stdin and stdout."""

import json
import random
import sys

FOLLOWER, CANDIDATE, LEADER = "follower", "candidate", "leader"


class Node:
    def __init__(self, init):
        self.id = init["node_id"]
        self.peers = [name for name in init["node_ids"] if name != self.id]
        self.majority = len(init["node_ids"]) // 2 + 1
        self.timeout_range = init["election_timeout_ms"]
        self.heartbeat_ms = init["heartbeat_ms"]
        self.random = random.Random(init["seed"])
        saved = init.get("saved") or {}
        self.term = saved.get("term", 0)
        self.voted_for = saved.get("voted_for")
        self.role = FOLLOWER
        self.leader = None
        self.votes = set()
        self.now = init["now_ms"]
        self.next_heartbeat = 0
        self.wait_for_leader()

    # -- sending

    def send(self, dest, type, **fields):
        print(json.dumps({"src": self.id, "dest": dest, "body": {"type": type, **fields}}), flush=True)

    def save(self):
        self.send("disk", "save", data={"term": self.term, "voted_for": self.voted_for})

    # -- changing role

    def wait_for_leader(self):
        self.deadline = self.now + self.random.randint(*self.timeout_range)

    def follow(self, term):
        self.role = FOLLOWER
        self.leader = None
        if term > self.term:
            self.term = term
            self.voted_for = None
            self.save()

    def stand_for_election(self):
        self.role = CANDIDATE
        self.leader = None
        self.term += 1
        self.voted_for = self.id
        self.votes = {self.id}
        self.save()
        self.wait_for_leader()
        for peer in self.peers:
            self.send(peer, "request_vote", term=self.term)

    def lead(self):
        self.role = LEADER
        self.leader = self.id
        self.send_heartbeats()

    def send_heartbeats(self):
        self.next_heartbeat = self.now + self.heartbeat_ms
        for peer in self.peers:
            self.send(peer, "heartbeat", term=self.term)

    # -- hearing

    def on_tick(self, src, body):
        self.now = body["now_ms"]
        if self.role == LEADER:
            if self.now >= self.next_heartbeat:
                self.send_heartbeats()
        elif self.now >= self.deadline:
            self.stand_for_election()
        self.send(src, "tick_ok")

    def on_read(self, src, body):
        self.send(src, "read_ok", term=self.term, role=self.role, leader=self.leader)

    def on_request_vote(self, src, body):
        granted = body["term"] == self.term and self.voted_for in (None, src)
        if granted:
            self.voted_for = src
            self.save()
            self.wait_for_leader()
        self.send(src, "vote", term=self.term, granted=granted)

    def on_vote(self, src, body)
        if self.role != CANDIDATE or body["term"] != self.term or not body["granted"]:
            return
        self.votes.add(src)
        if len(self.votes) >= self.majority:
            self.lead()

    def on_heartbeat(self, src, body):
        if body["term"] == self.term:
            self.role = FOLLOWER
            self.leader = src
            self.wait_for_leader()
        self.send(src, "heartbeat_ok", term=self.term)

    def on_heartbeat_ok(self, src, body):
        pass  # a higher term in it was seen already

    def handle(self, src, body):
        if body.get("term", 0) > self.term:
            self.follow(body["term"])
        getattr(self, "on_" + body["type"])(src, body)


def main():
    node = None
    for line in sys.stdin:
        message = json.loads(line)
        src, body = message["src"], message["body"]
        if body["type"] == "init":
            node = Node(body)
            node.send(src, "init_ok")
        else:
            node.handle(src, body)


main()
