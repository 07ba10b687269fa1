// One node of a cluster that elects a leader. The rules are in the problem's description.
//
// The way in and out is here; the election is yours. As it stands the node starts and answers, and never leads.
"use strict";

const readline = require("node:readline");

class Node {
  constructor(init) {
    this.id = init.node_id;
    this.peers = init.node_ids.filter((name) => name !== this.id);
    this.timeoutRange = init.election_timeout_ms; // [shortest, longest]
    this.heartbeatMs = init.heartbeat_ms;
    this.now = init.now_ms;
    this.term = init.saved?.term ?? 0;
    this.role = "follower";
    this.leader = null;
  }

  // Send a message to another node, to "disk" or to "judge".
  send(dest, type, fields = {}) {
    process.stdout.write(JSON.stringify({ src: this.id, dest, body: { type, ...fields } }) + "\n");
  }

  // Every ten milliseconds. Is it time to stand for election, or for heartbeats?
  on_tick(src, body) {
    this.now = body.now_ms;
    this.send(src, "tick_ok");
  }

  on_read(src) {
    this.send(src, "read_ok", { term: this.term, role: this.role, leader: this.leader });
  }

  // Someone stands for election. Answer with a "vote".
  on_request_vote(src, body) {}

  // Someone answered. Is it a majority by now?
  on_vote(src, body) {}

  // Someone leads. Answer with a "heartbeat_ok".
  on_heartbeat(src, body) {}

  on_heartbeat_ok(src, body) {}
}

let node = null;
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const { src, body } = JSON.parse(line);
  if (body.type === "init") {
    node = new Node(body);
    node.send(src, "init_ok");
  } else {
    node["on_" + body.type](src, body);
  }
});
