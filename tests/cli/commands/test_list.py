"""`list` on a server that lists what it should not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import typer

from subcli.cli.commands import list as list_command

LISTED = [
    {"submission_id": "\x1b]0;pwned\x07\u009b31m", "id": 9, "status": "failed"},
    {"status": "failed"},
    "nothing",
    {"id": "12", "status": "failed", "url": "javascript:alert(1)"},
    {"submission_id": 11, "status": "failed"},
]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = json.dumps(LISTED).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Its address."""
    for name in ("CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path))
    monkeypatch.delenv("SUBCLI_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


@pytest.mark.parametrize("mode", ["--json", "--quiet", "--no-input"])
def test_list_of_a_hostile_server(server: str, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What has no number for an id is no submission: `subcli list -q | xargs` would hand it on as it is."""
    tree = typer.Typer()
    list_command.register(tree)
    typer.main.get_command(tree).main(["list", mode, "--server", server], standalone_mode=False)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x9b" not in out
    if mode == "--quiet":
        assert out == "12\n11\n"
    if mode == "--json":
        shown = [(row["submission_id"], row["url"]) for row in json.loads(out)["submissions"]]
        assert shown == [(12, f"{server}/submissions/12"), (11, f"{server}/submissions/11")]
