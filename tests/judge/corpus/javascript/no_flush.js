const lines = require("readline").createInterface({ input: process.stdin });
const kept = [];
lines.on("line", (line) => {
  const [a, b] = line.split(" ").map(Number);
  kept.push(a + b);
});
lines.on("close", () => console.log(kept.join("\n")));
