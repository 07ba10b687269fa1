"""Packages of graders: what is shown to a grader, and what is said of those that are of no use."""

from __future__ import annotations

from pathlib import Path

import pytest

from subcli.judge.grader.packages import complaint_about, package_paths

METADATA = "Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n"
RECORD = "odd/__init__.py,,\nodd-1.0.dist-info/METADATA,,\nodd-1.0.dist-info/RECORD,,\n"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `dist-info` of a package that is installed, and requires nothing."""
    about = tmp_path / "odd-1.0.dist-info"
    about.mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/__init__.py").touch()
    (about / "METADATA").write_text(METADATA)
    (about / "RECORD").write_text(RECORD)
    monkeypatch.syspath_prepend(tmp_path)
    return about


def test_paths_of_a_package(installed: Path) -> None:
    """Its directory is shown, and the one that tells what it is."""
    assert package_paths(["odd"]) == (installed.parent / "odd", installed)
    assert complaint_about(["odd"]) == ""


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("RECORD", None, "it has no RECORD, the list of its files"),
        ("RECORD", "", "it has no RECORD, the list of its files"),
        ("RECORD", "odd/__init__.py,,,,\n", "its list of files, RECORD, cannot be read (TypeError: "),
        ("RECORD", "odd/__init__.py,,\n\n", "its list of files, RECORD, cannot be read (TypeError: "),
        ("RECORD", "odd/__init__.py,sha256,x\n", "its list of files, RECORD, cannot be read (ValueError: "),
        ("METADATA", f"{METADATA}Requires-Dist: ???\n", "its METADATA cannot be read (InvalidRequirement: "),
        ("METADATA", f"{METADATA}Requires-Dist: x; y == 'z'\n", "its METADATA cannot be read (InvalidRequirement: "),
    ],
)
def test_a_broken_package_is_named(installed: Path, file: str, text: str | None, why: str) -> None:
    """One sentence says which package it is, what is wrong with it, and what to do; nothing is raised."""
    if text is None:
        (installed / file).unlink()
    else:
        (installed / file).write_text(text)
    complaint = complaint_about(["odd", "not-there"])
    missing, _, broken = complaint.partition("; ")
    assert missing == "the grader needs Python packages that are not installed beside the judge: not-there"
    assert broken.startswith(f"the Python package odd is broken: {why}")
    assert broken.endswith("; reinstall it")
    assert "\n" not in complaint
    assert package_paths(["odd"]) in ((), (installed.parent / "odd", installed))
