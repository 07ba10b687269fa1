"""Removing what a submission left: all of it, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from subcli.judge.process.removal import mounted_below, remove_tree

MOUNTED = """
import subprocess, sys
from pathlib import Path
from subcli.judge.process.removal import remove_tree
base, other = map(Path, sys.argv[1:])
subprocess.run(["mount", "--bind", str(other), str(base / "in side")], check=True)
remove_tree(base)
sys.exit(0 if (base / "in side" / "precious").exists() else 9)
"""


def test_nothing_is_removed_through_a_mount(tmp_path: Path) -> None:
    """A directory that is mounted inside the tree is somebody else's: it and its files stay."""
    base, other = tmp_path / "base", tmp_path / "other"
    (base / "in side").mkdir(parents=True)
    other.mkdir()
    (other / "precious").write_text("kept")
    # In namespaces of its own, which end with it; the directories are this test's.
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", MOUNTED, str(base), str(other)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr and done.returncode == 1:
        pytest.skip(f"needs user namespaces: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert f"not removing {base}: {base}/in side is a mount point" in done.stderr
    assert (other / "precious").read_text() == "kept"


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    """The target of a link stays."""
    base, other = tmp_path / "base", tmp_path / "other"
    base.mkdir()
    other.mkdir()
    (other / "precious").write_text("kept")
    (base / "link").symlink_to(other)
    remove_tree(base)
    assert not base.exists()
    assert (other / "precious").read_text() == "kept"


def test_closed_and_deeply_nested_directories_are_removed(tmp_path: Path) -> None:
    """Including what cannot be entered and what is nested deeper than Python's stack."""
    base = tmp_path / "base"
    base.mkdir()
    made = "import os, sys\nos.chdir(sys.argv[1])\nfor _ in range(2000):\n    os.mkdir('d')\n    os.chdir('d')\n"
    subprocess.run([sys.executable, "-c", made, str(base)], check=True)
    (base / "closed").mkdir()
    (base / "closed" / "file").write_text("")
    (base / "closed").chmod(0)
    remove_tree(base)
    assert not base.exists()


def test_mount_point_at_or_below_a_directory() -> None:
    """One that only begins alike is another directory."""
    assert mounted_below(Path("/proc")) == "/proc"
    assert mounted_below(Path("/proc/self/..")) == "/proc"
    assert mounted_below(Path("/pro")) is None
    assert mounted_below(Path("/proc/self")) is None


def test_what_cannot_be_removed_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is raised: whoever judges goes on."""
    base = tmp_path / "base"
    base.mkdir()
    commands: list[list[str]] = []

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))
    remove_tree(base)
    assert commands == [["chmod", "-R", "u+rwX", "--", str(base)], ["rm", "-rf", "--", str(base)]]
    assert caplog.messages == [f"cannot remove {base}"]
