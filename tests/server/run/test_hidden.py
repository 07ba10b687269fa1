"""Server processes keep their secrets from other processes of their user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from subcli.judge.sandbox.view import enterable

ORDINARY = 54_321
"""A user who owns nothing; root may read everything anyway."""
SECRET = "hush-hush-4711-hush-hush-4711-hush-hush"
COMMANDS = {
    "serve": ("serve", "--auth", "--sandbox", "none", "--port", "0", "--json"),
    "worker": ("worker", "--sandbox", "none", "--json"),
}


def as_ordinary() -> list[str]:
    """Words before a command that runs it as an ordinary user, who is this one unless this is root."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    places = [Path(sys.base_prefix), Path(sys.executable), *(Path(each) for each in sys.path if Path(each).is_dir())]
    if setpriv is None or not all(enterable(place) for place in places):
        pytest.skip("needs setpriv, and a Python and a checkout that every user may read")
    return [setpriv, f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups", "--"]


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory of the ordinary user; pytest's own is closed to others."""
    with tempfile.TemporaryDirectory(prefix="subcli-hidden-") as name:
        if os.geteuid() == 0:
            os.chown(name, ORDINARY, ORDINARY)
        yield Path(name)


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("command", COMMANDS)
def test_environment_is_hidden_from_the_same_user(command: str, home: Path) -> None:
    """Neither the environment nor the memory nor the descriptors of `serve` and `worker` can be opened."""
    user = as_ordinary()
    process = subprocess.Popen(
        [*user, sys.executable, "-m", "subcli", *COMMANDS[command]],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(home),
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            "SUBCLI_SECRET_KEY": SECRET,
            "SUBCLI_DATABASE": f"sqlite:///{home / 'x.db'}",
            "SUBCLI_REDIS": f"redis://:{SECRET}@127.0.0.1:1/0",
        },
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        assert b'"type"' in ready, process.communicate()
        for name in ("environ", "mem", "maps", "fd/0", "cwd"):
            read = subprocess.run([*user, "head", "-c", "9999", f"/proc/{process.pid}/{name}"], capture_output=True)
            assert b"Permission denied" in read.stderr, name
            assert SECRET.encode() not in read.stdout
    finally:
        process.kill()
        process.communicate()
