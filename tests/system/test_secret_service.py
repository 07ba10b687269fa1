"""The real Secret Service: gnome-keyring on its own session bus."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hang import HANG_S

from .command import SUBCLI
from .conftest import Served, needs

SCRIPT = """
printf 'the-keyring-passw0rd' | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null
"$@" auth login --with-token --server "$SERVER" --json < token &&
"$@" auth status --server "$SERVER" --json &&
"$@" list --server "$SERVER" --json &&
"$@" auth logout --server "$SERVER" --json
echo "ended $?"
"$@" auth status --server "$SERVER" --json
echo "ended $?"
"""


@pytest.mark.thorough
def test_login_in_secret_service(server: Served, env: dict[str, str], tmp_path: Path) -> None:
    """A login is stored in, read from and removed from it within the time limits."""
    for program in ("dbus-run-session", "gnome-keyring-daemon"):
        needs(program, shutil.which(program))
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "token").write_text("a-token-of-the-other-platform\n")
    own = {name: value for name, value in env.items() if name not in ("SUBCLI_TOKEN", "PYTHON_KEYRING_BACKEND")}
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", SCRIPT, "sh", *SUBCLI],
        env={**own, "XDG_RUNTIME_DIR": str(tmp_path / "run"), "SERVER": server.url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("ended")] == ["ended 0", "ended 4"], done.stdout + done.stderr
    login, status, listed, logout, _, after, _ = lines
    assert "SecretService" in json.loads(login)["login"]["kept_in"]
    # In demo mode there is nobody to verify a token: it says so, and is kept.
    assert json.loads(login)["login"]["verified"] is False
    assert json.loads(status)["auth"]["source"] == "keyring"
    assert json.loads(listed)["submissions"] == []
    assert json.loads(logout)["logout"]["server"] == server.url
    assert json.loads(after)["auth"]["source"] is None
