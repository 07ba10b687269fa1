"""Packages that tests write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from subcli.judge.languages.table import bundled
from subcli.judge.package.package import load_package
from subcli.judge.problem import Problem

MINIMAL: Mapping[str, str] = {
    "problem.yaml": "name: Minimal\n",
    "data/secret/1.in": "1\n",
    "data/secret/1.ans": "1\n",
}
CHECKER = "import sys\nsys.exit(42)\n"


def write(root: Path, files: Mapping[str, str | bytes | None]) -> Path:
    """Write the files below `root`; None leaves one out."""
    for name, text in files.items():
        if text is None:
            continue
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def loaded(root: Path, files: Mapping[str, str | bytes | None]) -> Problem:
    """The package of `MINIMAL` and these files."""
    return load_package(write(root / "minimal", {**MINIMAL, **files}), bundled())
