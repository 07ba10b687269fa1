"""The wheel installs man pages and completions where man and the shells look for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .conftest import needs

ROOT = Path(__file__).parents[2]
SHARE = (
    "share/bash-completion/completions/subcli",
    "share/zsh/site-functions/_subcli",
    "share/fish/vendor_completions.d/subcli.fish",
    "share/subcli/subcli.ps1",
    "share/man/man1/subcli.1",
    "share/man/man1/subcli-submit.1",
    "share/man/man7/subcli-exit-codes.7",
    "share/man/man7/subcli-protocol.7",
)
SHELLS = (
    ("bash", "subcli.bash"),
    ("zsh", "_subcli"),
    ("fish", "subcli.fish"),
    ("powershell", "subcli.ps1"),
)


@pytest.mark.thorough
def test_wheel(tmp_path: Path) -> None:
    """After installation, `man subcli` finds its page, and `subcli completion` prints each script."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").iterdir()
    inside = zipfile.ZipFile(wheel).namelist()
    assert any(name.endswith("server/pages/static/pages.css") for name in inside)
    # What pip does with it: `data` goes under the environment's prefix.
    environment = tmp_path / "env"
    for name in inside:
        _, found, place = name.partition(".data/data/")
        if found and not name.endswith("/"):
            target = environment / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(zipfile.ZipFile(wheel).read(name))
    for path in SHARE:
        assert (environment / path).is_file(), path
    assert len(list((environment / "share/man/man1").iterdir())) == len(list((ROOT / "man/man1").iterdir()))

    needs("man", shutil.which("man"))
    (environment / "bin").mkdir()
    path = f"{environment}/bin:/usr/bin:/bin"
    manual = subprocess.run(
        ["man", "-w", "subcli"], env={**os.environ, "PATH": path, "MANPATH": ""}, capture_output=True, text=True
    )
    assert manual.stdout.strip() == str(environment / "share/man/man1/subcli.1"), manual.stderr


@pytest.mark.thorough(measured=True)
def test_completion_command() -> None:
    """Each script is printed as committed; an unsupported shell is rejected."""
    for shell, name in SHELLS:
        done = subprocess.run([sys.executable, "-m", "subcli", "completion", shell], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(("# ", "#compdef"))
        assert "__complete" in done.stdout
        assert (ROOT / "completions" / name).is_file()
    refused = subprocess.run([sys.executable, "-m", "subcli", "completion", "tcsh"], capture_output=True, text=True)
    assert refused.returncode == 2
