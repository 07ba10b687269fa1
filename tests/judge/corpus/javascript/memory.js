const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
const kept = [];
for (;;) {
  kept.push(Buffer.alloc(1024 * 1024, 1));
}
