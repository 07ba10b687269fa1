"""Bytes that are not text: in every command, argument, file name and variable, and in the working directory."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from subcli.cli.main import _Run
from subcli.cli.streams import Streams
from subcli.output.printable import printable
from tests.cli.test_hostile_server import ANSWERS
from tests.cli.wire import SERVER, Wire, encode
from tests.sampling import first

BAD = os.fsdecode(b"caf\xe9")
SUBMIT = f"--problem lru --language python --server {SERVER} --no-watch"
AT = f"--server {SERVER}"
LINES = f"""
submit BAD.py {SUBMIT}
submit d {SUBMIT}
submit e {SUBMIT}
submit g {SUBMIT}
submit link.py {SUBMIT}
submit BAD.fifo {SUBMIT}
submit BAD {SUBMIT}
submit BAD/x.py {SUBMIT}
submit BAD.pi {SUBMIT}
submit a.py {SUBMIT}
submit a.py {SUBMIT} --problem BAD
submit a.py {SUBMIT} --language BAD
submit a.py {SUBMIT} --timeout BAD
submit a.py {SUBMIT} --max-attempts BAD
submit a.py {SUBMIT} --after-seq BAD
watch 1 --server BAD --junit-xml BAD.xml
watch 1 --server BAD --junit-xml BAD1/BAD.xml
watch 1 --server http://h/BAD
watch BAD
watch http://BAD/submissions/1
watch http://h/submissions/BAD
status BAD {AT}
status 12 {AT}
status 12 --profile BAD
list {AT}
list --problem BAD {AT}
list --limit BAD {AT}
list --BAD
list BAD
cancel BAD {AT}
cancel 12 {AT}
open BAD {AT}
open 12 {AT}
problems {AT}
problems BAD
problems show BAD {AT}
problems show lru {AT}
problems check BAD
problems check prob
init BAD {AT}
init lru BAD1 {AT}
init lru BAD.fifo {AT}
init lru BAD.py/x {AT}
init lru --language BAD {AT}
auth BAD
auth login --user BAD {AT}
auth login --server BAD
auth login --with-token --insecure-storage {AT}
auth status {AT}
auth token {AT}
auth logout {AT}
serve --data-dir BAD.py
serve --data-dir BAD2
serve --problems BAD
serve --host BAD
serve --database BAD
serve --database sqlite:///BAD/x.db
serve --redis BAD
serve --allow-origin BAD
serve --log-format BAD
worker --database BAD
worker --problems BAD
worker --data-dir BAD.py
user add BAD --data-dir u
user add ada --data-dir BAD3 --password-stdin
user list --data-dir BAD.py
user list --data-dir BAD4
user list --data-dir what?
user list --database BAD
user remove BAD --data-dir u
user import BAD --data-dir u
user import a.py --output BAD/x --data-dir u
user passwd BAD --data-dir u
user role BAD teacher --data-dir u
user role ada BAD --data-dir u
user disable BAD --data-dir u
auth token create --name BAD {AT}
auth token create --name ci --expires BAD {AT}
auth token revoke BAD {AT}
share BAD {AT}
share 12 --expires BAD {AT}
list --user BAD {AT}
doctor {AT}
doctor --profile BAD
schema BAD
completion BAD
demo BAD
BAD
--BAD
"""
NAMES = """HOME XDG_CONFIG_HOME XDG_CACHE_HOME XDG_STATE_HOME SUBCLI_TOKEN SUBCLI_TOKEN_FILE SUBCLI_SERVER SUBCLI_WS_URL
SUBCLI_PROBLEM SUBCLI_PROFILE SUBCLI_INSECURE_HTTP HTTP_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR SSLKEYLOGFILE
REQUESTS_CA_BUNDLE COLUMNS TERM BROWSER TMPDIR"""


@pytest.fixture
def here(home: Path, wire: type[Wire], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with such a name, and such names in it; the server knows `lru`."""
    wire.answers = {call: (200, encode(body)) for call, body in ANSWERS.items()}
    top = home / BAD
    for name in ("a.py", f"{BAD}.py", f"d/{BAD}.py", "d/a.py", "e/a.py", f"e/.{BAD}", f"e/{BAD}.o", f"prob/{BAD}/x"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("x = 1\n")
    (top / "g").mkdir()
    (top / "link.py").symlink_to(f"/etc/{BAD}")
    (top / "g" / BAD).symlink_to("/etc")
    os.mkfifo(top / f"{BAD}.fifo")
    monkeypatch.chdir(top)
    # `serve` and `worker` would hide this process, which goes on.
    monkeypatch.setattr("subcli.judge.process.processes.hide_from_peers", lambda: None)
    return top


def fault(words: list[str]) -> str:
    """What is wrong with how a command line ends; empty if nothing is."""
    written, said = io.BytesIO(), io.BytesIO()
    # As `open_streams` makes them.
    stdout, stderr = (io.TextIOWrapper(each, "utf-8", "backslashreplace") for each in (written, said))
    stdin = io.TextIOWrapper(io.BytesIO(b"token\n"), "utf-8", "replace")
    streams = Streams(stdin=stdin, stdout=stdout, stderr=stderr, env=os.environ, cwd=Path.cwd())
    code = _Run(words, streams).exit_code()
    stdout.flush()
    stderr.flush()
    out, err = written.getvalue().decode(), said.getvalue().decode()
    if code not in (0, 2, 4, 5, 6):
        return f"{code}: {out[-300:]} {err[-300:]}"
    if printable(out) != out or printable(err) != err:
        return f"not printable: {out[-300:]} {err[-300:]}"
    if "--json" in words and words[0] != "schema":
        for line in out.splitlines():
            json.loads(line)
    return ""


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("as_json", [False, True], ids=["people", "json"])
def test_every_command_and_argument(here: Path, as_json: bool) -> None:
    """Each ends with a code of the contract, and what it says can be read."""
    faults = {}
    for line in LINES.strip().splitlines():
        words = [word.replace("BAD", BAD) for word in line.split()] + ["--json"] * as_json
        faults[line] = fault(words)
    assert not {line: found for line, found in faults.items() if found}


@pytest.mark.parametrize("name", first(6, NAMES.split()))
def test_every_variable(here: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The same for what the environment says."""
    monkeypatch.setenv(name, f"http://{BAD}" if name.endswith("SERVER") else BAD)
    assert [fault(line.split()) for line in (f"submit a.py {SUBMIT}", "list --server https://h --json")] == ["", ""]
