"""The manual pages in the programs that display them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import needs

MAN = Path(__file__).parents[2] / "man"


def pages() -> list[str]:
    """All of them."""
    found = sorted(str(path) for path in MAN.glob("man*/*"))
    assert str(MAN / "man1/subcli.1") in found
    assert str(MAN / "man1/subcli-submit.1") in found
    assert {str(MAN / "man7/subcli-exit-codes.7"), str(MAN / "man7/subcli-protocol.7")} <= set(found)
    return found


def test_mandoc_lint() -> None:
    """`mandoc -T lint` reports nothing."""
    needs("mandoc", shutil.which("mandoc"))
    done = subprocess.run(["mandoc", "-T", "lint", *pages()], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.thorough
def test_man_renders_every_page() -> None:
    """`man -l` shows every page, with all groff warnings enabled and none raised."""
    needs("man", shutil.which("man"))
    words = ["man", "--warnings=w", "--encoding=UTF-8", "-P", "cat", "-l", *pages()]
    env = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MAN_KEEP_FORMATTING": ""}
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    assert done.returncode == 0
    # Whatever man itself says of a machine without its own configuration is not about our pages.
    assert not [line for line in done.stderr.splitlines() if "warning" in line or "error" in line]
    assert "SUBCLI-SUBMIT(1)" in done.stdout
    assert "after_seq" in done.stdout
