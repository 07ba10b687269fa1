"""A path of ``-``: stdin and stdout where the help says so, and never a file of that name."""

from __future__ import annotations

from pathlib import Path

import pytest

from subcli.cli.main import run


@pytest.mark.parametrize(
    "words",
    [
        ("watch", "1", "--junit-xml", "-"),
        ("submit", "a.py", "--junit-xml=-"),
        ("test", "a.py", "--junit-xml=-"),
        ("status", "1", "--test", "x", "--svg", "-"),
        ("init", "lru-cache", "-"),
        ("init", "--new-problem", "-"),
        ("db", "backup", "-"),
        ("user", "import", "class.csv", "--output", "-"),
        ("serve", "--data-dir", "-"),
        ("worker", "--data-dir", "-", "--database", "sqlite:///x", "--redis", "redis://localhost"),
        ("user", "add", "ada", "--data-dir", "-"),
    ],
    ids=" ".join,
)
def test_nothing_is_written_to_dash(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell user expects stdout, and would not notice a file of that name, or could not remove it."""
    monkeypatch.chdir(tmp_path)
    assert run([*words]) == 2
    assert capsys.readouterr().err == "error: `-` does not stand for stdout here.\nhint:  Name a file or a directory.\n"
    assert list(tmp_path.iterdir()) == []
