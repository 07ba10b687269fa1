const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
function add(text) {
  return JSON.parse(text).sum;
}
for (const line of lines) {
  console.log(add(line));
}
