"""The state that the page of a submission keeps, without the page: `static/state.js` under Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
STATIC = files("subcli.server.pages") / "static"
MANY_RESULTS = """
import { Submission } from "./state.js";
const submission = new Submission(7);
let reads = 0;
const result = (name, group, status) => submission.receive({
  type: "test_result", test_name: name, status, get group() { reads += 1; return group; } });
const rows = () => submission.groups().map(({ name, passed, done, status }) => [name, passed, done, status]);
for (let n = 0; n < 500; n++) result(`small ${n}`, "secret/small", "passed");
for (let n = 0; n < 500; n++) result(`large ${n}`, "secret/large", n % 2 ? "failed" : "skipped");
result("small 0", "secret/large", "failed");
result("nowhere", "", "passed");
const before = reads;
const found = [rows()];
submission.receive({ type: "complete", final_status: "failed", summary: {
  groups: [{ name: "secret", outcome: "wrong_answer" }, { name: "secret/small", outcome: "passed" }] } });
found.push(rows());
console.log(JSON.stringify({ found, reads: reads - before }));
"""


def run(script: str, directory: Path) -> Any:
    """What a script prints as JSON that lies beside the page's modules."""
    for each in STATIC.iterdir():
        if each.name.endswith(".js") and not each.name.startswith("swagger"):
            (directory / each.name).write_bytes(each.read_bytes())
    (directory / "package.json").write_text('{"type": "module"}')
    (directory / "script.js").write_text(script)
    return json.loads(
        subprocess.run(["node", directory / "script.js"], capture_output=True, check=True, text=True).stdout
    )


def test_what_is_no_longer_there(tmp_path: Path) -> None:
    """The page shows the server's sentence about it; most submissions have none."""
    script = """
    import { Submission } from "./state.js";
    const [old, recent] = [new Submission(7), new Submission(8)];
    old.describe({ notice: "Its code was deleted." });
    recent.describe({ notice: null });
    console.log(JSON.stringify([old.notice, recent.notice]));
    """
    assert run(script, tmp_path) == ["Its code was deleted.", ""]


def test_groups_cost_the_same_however_many_results_there_are(tmp_path: Path) -> None:
    """A group counts its tests as they come, and those of the groups in it once the verdict tells of it.

    The page asks at each change: going through all results each time would cost the square of their number.
    """
    seen = run(MANY_RESULTS, tmp_path)
    small, large = ["secret/small", 499, 499, "passed"], ["secret/large", 0, 501, "failed"]
    assert seen["found"] == [[small, large], [["secret", 499, 1000, "failed"], small, large]]
    assert seen["reads"] == 0
