// Raft's leader election: one node, speaking JSON lines over stdin and stdout.
"use strict";

const readline = require("node:readline");

// mulberry32: random numbers from a seed, so that every run is the same.
function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

class Node {
  constructor(init) {
    this.id = init.node_id;
    this.peers = init.node_ids.filter((name) => name !== this.id);
    this.majority = Math.floor(init.node_ids.length / 2) + 1;
    this.timeoutRange = init.election_timeout_ms;
    this.heartbeatMs = init.heartbeat_ms;
    this.random = seeded(init.seed);
    const saved = init.saved ?? { term: 0, votedFor: null };
    this.term = saved.term;
    this.votedFor = saved.votedFor;
    this.role = "follower";
    this.leader = null;
    this.votes = new Set();
    this.now = init.now_ms;
    this.nextHeartbeat = 0;
    this.waitForLeader();
  }

  send(dest, type, fields = {}) {
    process.stdout.write(JSON.stringify({ src: this.id, dest, body: { type, ...fields } }) + "\n");
  }

  save() {
    this.send("disk", "save", { data: { term: this.term, votedFor: this.votedFor } });
  }

  waitForLeader() {
    const [low, high] = this.timeoutRange;
    this.deadline = this.now + low + Math.floor(this.random() * (high - low + 1));
  }

  follow(term) {
    this.role = "follower";
    this.leader = null;
    this.term = term;
    this.votedFor = null;
    this.save();
  }

  standForElection() {
    this.role = "candidate";
    this.leader = null;
    this.term += 1;
    this.votedFor = this.id;
    this.votes = new Set([this.id]);
    this.save();
    this.waitForLeader();
    for (const peer of this.peers) this.send(peer, "request_vote", { term: this.term });
  }

  sendHeartbeats() {
    this.nextHeartbeat = this.now + this.heartbeatMs;
    for (const peer of this.peers) this.send(peer, "heartbeat", { term: this.term });
  }

  on_tick(src, body) {
    this.now = body.now_ms;
    if (this.role === "leader") {
      if (this.now >= this.nextHeartbeat) this.sendHeartbeats();
    } else if (this.now >= this.deadline) {
      this.standForElection();
    }
    this.send(src, "tick_ok");
  }

  on_read(src) {
    this.send(src, "read_ok", { term: this.term, role: this.role, leader: this.leader });
  }

  on_request_vote(src, body) {
    const granted = body.term === this.term && (this.votedFor === null || this.votedFor === src);
    if (granted) {
      this.votedFor = src;
      this.save();
      this.waitForLeader();
    }
    this.send(src, "vote", { term: this.term, granted });
  }

  on_vote(src, body) {
    if (this.role !== "candidate" || body.term !== this.term || !body.granted) return;
    this.votes.add(src);
    if (this.votes.size >= this.majority) {
      this.role = "leader";
      this.leader = this.id;
      this.sendHeartbeats();
    }
  }

  on_heartbeat(src, body) {
    if (body.term === this.term) {
      this.role = "follower";
      this.leader = src;
      this.waitForLeader();
    }
    this.send(src, "heartbeat_ok", { term: this.term });
  }

  on_heartbeat_ok() {}

  handle(src, body) {
    if ((body.term ?? 0) > this.term) this.follow(body.term);
    this["on_" + body.type](src, body);
  }
}

let node = null;
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { src, body } = JSON.parse(line);
  if (body.type === "init") {
    node = new Node(body);
    node.send(src, "init_ok");
  } else {
    node.handle(src, body);
  }
});
