// The specification's client with node's ws: parse each message, write it as a line, close after `complete`.
const WebSocket = require("ws");
const socket = new WebSocket(process.argv[2]);
socket.on("message", (data) => {
  const text = data.toString();
  const message = JSON.parse(text);
  console.log(text);
  if (message.type === "complete") socket.close(1000, "Client closing");
});
socket.on("close", () => process.exit(0));
