"""Adding a profile to the user's settings file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from subcli.core.errors import UsageError
from subcli.settings.config import load
from subcli.settings.files import add_profile

A = "https://a.example"


@pytest.mark.parametrize(
    "text", [None, "", 'problem = "x"', '# no end of line\n[profiles.old]\nserver = "https://b.example"']
)
def test_added_profile_is_found_by_its_name(tmp_path: Path, text: str | None) -> None:
    """`--profile NAME` then reaches the server, and everything else in the file stays as it was."""
    path = tmp_path / "config" / "config.toml"
    if text is not None:
        path.parent.mkdir()
        path.write_text(text)
    before = load({}, {}, tmp_path, path)
    add_profile(path, "work", A)
    assert load({}, {}, tmp_path, path, profile="work").server == A
    assert load({}, {}, tmp_path, path) == before
    assert path.read_text().startswith(text or "")
    assert tomllib.loads(path.read_text())["profiles"]["work"] == {"server": A}


def test_file_keeps_its_mode_and_stays_a_link(tmp_path: Path) -> None:
    """A settings file that is private or a link into another directory remains so."""
    path, target = tmp_path / "config.toml", tmp_path / "dotfiles.toml"
    target.write_text("")
    target.chmod(0o600)
    path.symlink_to(target)
    add_profile(path, "work", A)
    assert path.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o600
    assert "work" in target.read_text()


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "two words", "not a valid profile name"),
        ("", "a.b", "not a valid profile name"),
        ("", "", "not a valid profile name"),
        ("[profiles.work]", "work", "already a profile 'work'"),
        ("profiles = 3", "work", "`profiles` must be a table"),
        ('profiles = {old = {server = "https://b.example"}}', "work", "cannot be appended"),
        ("[[profiles.other]]\n[[profiles]]", "work", "not valid TOML"),
    ],
)
def test_profile_that_cannot_be_added(tmp_path: Path, text: str, name: str, message: str) -> None:
    """The file is not changed: it would not be valid afterwards."""
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        add_profile(path, name, A)
    assert path.read_text() == text


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """The error names the file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"config\.toml cannot be written"):
        add_profile(tmp_path / "file" / "config.toml", "work", A)
