"""From a problem to a submission: `problems`, `problems show`, `init`, and plain `submit` in the directory."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from .conftest import Run, Served

SCHEMA = jsonschema.Draft202012Validator(json.loads(files("subcli").joinpath("schema.json").read_text()))


@pytest.mark.thorough
def test_list_and_show(server: Served, run: Run) -> None:
    """The list names every problem with its languages; `show` accepts a slug or an id."""
    at = ("--server", server.url)
    listed = run("problems", *at)
    assert listed.returncode == 0
    assert "leader-election" in listed.stdout
    assert "python" in listed.stdout
    shown = run("problems", "show", "leader-election", *at)
    assert shown.returncode == 0
    assert "request_vote" in shown.stdout
    assert (
        run("problems", "show", "1", "-q", *at).stdout == run("problems", "show", "leader-election", "-q", *at).stdout
    )
    for words in (["problems"], ["problems", "show", "leader-election"]):
        body = json.loads(run(*words, "--json", *at).stdout)
        SCHEMA.validate(body)
    assert body["problem"]["slug"] == "leader-election"
    assert run("problems", "show", "nope", *at).returncode == 5
    names = run("problems", "list", "-q", *at).stdout
    assert "leader-election" in names.split()
    assert names == run("problems", "-q", *at).stdout
    # Options of the group are those of its commands.
    assert names == run("problems", *at, "-q", "list").stdout
    assert run("problems", *at, "show", "leader-election", "-q").returncode == 0


@pytest.mark.thorough
def test_init_then_submit(server: Served, run: Run, tmp_path: Path) -> None:
    """Plain `submit` works in the directory of `init` and below it; `init` never overwrites a file."""
    at = ("--server", server.url)
    made = run("init", "lru-cache", "--language", "python", *at)
    assert made.returncode == 0, made.stderr
    assert made.stderr.endswith(f"then: cd lru-cache && subcli test && subcli submit {' '.join(at)}\n")
    directory = tmp_path / "lru-cache"
    project = tomllib.loads((directory / ".subcli.toml").read_text())
    assert project["problem"] == "lru-cache"
    assert project["language"] == "python"
    assert all((directory / name).is_file() for name in project["files"])
    below = directory / "notes"
    below.mkdir()
    for place in (directory, below):
        done = run("submit", "-q", *at, cwd=place)
        assert (done.returncode, done.stdout) == (1, "failed\n"), done.stderr
    before = {path: path.read_text() for path in directory.rglob("*") if path.is_file()}
    again = run("init", "lru-cache", "--language", "python", *at)
    assert again.returncode == 2
    assert "already exists" in again.stderr
    assert before == {path: path.read_text() for path in directory.rglob("*") if path.is_file()}
    elsewhere = run("init", "lru-cache", "other", "--language", "python", "--json", *at)
    SCHEMA.validate(json.loads(elsewhere.stdout))
    assert (tmp_path / "other" / ".subcli.toml").is_file()
    assert run("init", "lru-cache", "third", "--language", "cobol", *at).returncode == 5
    assert not (tmp_path / "third").exists()
