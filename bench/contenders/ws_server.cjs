// Node's ws: a set of sockets for each submission, sent to one after the other.
const fs = require("fs");
const { WebSocketServer } = require("ws");
const word = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const submissions = Number(word("submissions", 100));
const events = Number(word("events", 100));
const go = word("go", "");
const watching = new Map();
for (let id = 1; id <= submissions; id++) watching.set(id, new Set());

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 2048 });
server.on("connection", (socket, request) => {
  const set = watching.get(Number(request.url.split("/").pop()));
  set.add(socket);
  socket.on("close", () => set.delete(socket));
});
server.on("listening", () => console.log(JSON.stringify({ port: server.address().port })));

const text = (id, number) =>
  JSON.stringify({
    timestamp: "2026-01-15T10:40:00.000Z", type: "test_result", test_id: `t${String(number).padStart(5, "0")}`,
    test_name: `Leader election, partition ${number}`, status: "passed", duration_ms: (number % 97) + 1,
    test_type: "functional", submission_id: id, seq: number, sent_ns: Number(process.hrtime.bigint()),
  });

let number = 0;
let id = 0;
const send = () => {
  for (let some = 0; some < 10; some++) {
    if (id === 0) number += 1;
    if (number > events) return;
    id += 1;
    const message = text(id, number);
    for (const socket of watching.get(id)) socket.send(message);
    if (id === submissions) id = 0;
  }
  setImmediate(send);
};
const wait = () => (fs.existsSync(go) ? send() : setTimeout(wait, 20));
if (go) wait();
