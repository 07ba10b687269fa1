const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
const [a, b] = lines[0].split(" ").map(Number);
console.log(a + b);
process.exitCode = 7;
