// The same, but it lets node write what it still holds before it ends.
const WebSocket = require("ws");
const socket = new WebSocket(process.argv[2]);
socket.on("message", (data) => {
  const text = data.toString();
  const message = JSON.parse(text);
  console.log(text);
  if (message.type === "complete") socket.close(1000, "Client closing");
});
socket.on("close", () => {});
