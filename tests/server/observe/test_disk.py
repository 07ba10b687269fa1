"""A server whose disk is nearly full: it refuses submissions, and finishes what it has."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine

from subcli.server.observe.disk import Disk, LowSpaceError, directory_of

SERVE = Path(__file__).parents[1] / "serve.py"
UNSHARE = shutil.which("unshare")
SIZE = 24 * 1024 * 1024


class Small:
    """A server whose data directory is a file system of a few megabytes, which nobody else sees."""

    def __init__(self, directory: Path) -> None:
        assert UNSHARE is not None
        # `--map-root-user` makes a namespace for users as well, where one is not root.
        namespaces = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
        mount = f'mount -t tmpfs -o size={SIZE} tmpfs "$1" && shift && exec "$@"'
        command = [UNSHARE, *namespaces, "sh", "-c", mount, "sh", str(directory)]
        self.process = subprocess.Popen(
            [*command, sys.executable, str(SERVE), str(directory), "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.process.communicate()
        self.seen = Path(f"/proc/{self.process.pid}/root{directory}")

    def fill(self, percent: float) -> None:
        """Have this share of it in use, whatever is used besides."""
        filler = self.seen / "filler"
        filler.unlink(missing_ok=True)
        found = os.statvfs(self.seen)
        free = found.f_bavail * found.f_frsize
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, int(free - SIZE * (1 - percent / 100)))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    if (
        UNSHARE is None
        or subprocess.run([UNSHARE, "--mount", "--map-root-user", "true"], capture_output=True).returncode
    ):
        pytest.skip("unshare (Debian: util-linux) cannot make namespaces here")
    directory = tmp_path / "data"
    directory.mkdir()
    server = Small(directory)
    yield server
    server.process.kill()
    server.process.communicate()


def submit(http: httpx.Client, key: str | None = None) -> httpx.Response:
    body = {"problem": "leader-election", "language": "python", "source_code": "print()"}
    return http.post("/api/submissions", json=body, headers={"Idempotency-Key": key} if key else {})


def ask(http: httpx.Client, path: str, until: Callable[[httpx.Response], bool]) -> httpx.Response:
    """Ask again and again: what is known of the disk is up to a second old."""
    while not until(response := http.get(path)):
        pass
    return response


@pytest.mark.thorough
def test_a_disk_that_fills_up(small: Small) -> None:
    """503 with the reason and a time, while what is being judged gets its verdict; and back again."""
    with httpx.Client(base_url=small.url, trust_env=False, timeout=60) as http:
        assert http.get("/readyz").json()["disk"] == "enough"
        first = submit(http, "key")
        assert first.status_code == 201
        small.fill(97)
        ready = ask(http, "/readyz", lambda response: response.json()["disk"] != "enough")
        # It still serves those who watch.
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        assert ready.json()["disk"].startswith("submissions are refused: only ")
        refused = submit(http)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
        assert refused.json()["retry_after"] == 60
        assert refused.json()["detail"].startswith("The server accepts no submissions at the moment: only ")
        assert refused.json()["detail"].endswith(" % of the disk is free, less than 5 %.")
        # Repeating what was accepted gives its id, as ever.
        again = submit(http, "key")
        assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
        path = f"/api/submissions/{first.json()['id']}"
        verdict = ask(http, path, lambda response: bool(response.json()["final_status"])).json()
        assert (verdict["final_status"], verdict["last_seq"] > 10) == ("passed", True)
        [line] = [each for each in http.get("/metrics").text.splitlines() if each.startswith("subcli_disk_free_ratio")]
        assert 0 < float(line.split()[1]) < 0.05
        small.fill(50)
        ask(http, "/readyz", lambda response: response.json()["disk"] == "enough")
        assert submit(http).status_code == 201
        small.process.send_signal(signal.SIGTERM)
        assert small.process.wait(60) == 0


async def test_what_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `df` shows as available to everybody; where nobody can tell, nothing is refused."""

    def found(**sizes: int) -> Callable[[object], Any]:
        return lambda _path: os.statvfs_result(
            [4096, 4096, *(sizes[each] for each in ("blocks", "free", "available")), *[0] * 5]
        )

    monkeypatch.setattr("subcli.server.observe.disk._FRESH_S", 0.0)
    monkeypatch.setattr(os, "statvfs", found(blocks=1000, free=100, available=0))
    with pytest.raises(LowSpaceError, match=r"^only 0\.0 % of the disk is free, less than 5 %$"):
        await Disk(tmp_path, 5).require_space()
    monkeypatch.setattr(os, "statvfs", found(blocks=1000, free=500, available=50))
    assert Disk(tmp_path, 5).free_ratio() == 50 / 550
    await Disk(tmp_path, 5).require_space()
    assert await Disk(tmp_path, 20).complaint() == "only 9.1 % of the disk is free, less than 20 %"
    monkeypatch.setattr(os, "statvfs", found(blocks=0, free=0, available=0))
    assert Disk(tmp_path, 5).free_ratio() == 1.0
    assert Disk(None, 5).free_ratio() == 1.0

    def fail(_path: object) -> Any:
        raise OSError("stale file handle")

    monkeypatch.setattr(os, "statvfs", fail)
    assert await Disk(tmp_path, 5).complaint() == ""


def test_where_it_counts(tmp_path: Path) -> None:
    """Beside SQLite's file; for PostgreSQL, only the data directory is known."""
    assert directory_of(create_engine(f"sqlite:///{tmp_path}/x.db"), Path("/data")) == tmp_path
    assert directory_of(create_engine("sqlite://"), Path("/data")) is None
    assert directory_of(create_engine("postgresql+psycopg://x/y"), Path("/data")) == Path("/data")
    assert directory_of(create_engine("postgresql+psycopg://x/y"), None) is None
