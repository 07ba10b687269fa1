const fs = require("fs");
for (;;) {
  fs.writeSync(1, "3\n".repeat(1024));
}
