"""Removing what a submission left: all of it, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from subcli.judge.process.removal import remove_tree

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
    assert "is a mount point" in done.stderr
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
