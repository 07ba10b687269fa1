"""Commands that a hint proposes: they reach the same server as the command that failed, and name the submission."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_group

import subcli
from subcli.cli.app import app
from subcli.cli.commands import list as list_command
from subcli.cli.common import Common, with_options
from subcli.cli.request import request
from subcli.core.errors import NotFoundError, SubcliError
from tests.cli.rest import rest
from tests.cli.streams import captured

PROFILE = " --profile work"


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("`subcli list` shows yours.", f"`subcli list{PROFILE}` shows yours."),
        ("`subcli watch 7`, or `subcli doctor`.", f"`subcli watch 7{PROFILE}`, or `subcli doctor{PROFILE}`."),
        ("`subcli auth login`", f"`subcli auth login{PROFILE}`"),
        ("`subcli auth login --with-token < FILE`", f"`subcli auth login --with-token{PROFILE} < FILE`"),
        ("`subcli submit FILE --problem SLUG`", f"`subcli submit FILE --problem SLUG{PROFILE}`"),
        ("`subcli auth login --server http://a`", "`subcli auth login --server http://a`"),
        ("`subcli list --profile home`", "`subcli list --profile home`"),
        ("`subcli serve`, `subcli problems check DIR`", "`subcli serve`, `subcli problems check DIR`"),
        ("`subcli submit --help`", "`subcli submit --help`"),
        ("Check `--server`.", "Check `--server`."),
        ("", ""),
    ],
)
def test_hint_reaches_the_same_server(hint: str, expected: str) -> None:
    """The options are added once, and only where they mean something."""
    assert with_options(hint, PROFILE) == expected
    assert with_options(with_options(hint, PROFILE), PROFILE) == expected
    assert with_options(hint, "") == hint


def test_pasted_server_is_kept(tmp_path: Path) -> None:
    """The command for another server than the usual one is the one of the URL."""

    async def call(client: object) -> None:
        raise NotFoundError("No.", hint="`subcli list` shows yours.")

    with rest({}) as server, pytest.raises(SubcliError) as raised:
        request(Common(), captured(tmp_path).streams, call, pasted_server=server.url)
    assert raised.value.hint == f"`subcli list --server {server.url}` shows yours."


def test_empty_list_proposes_the_same_server(tmp_path: Path) -> None:
    """It is a hint too, though not an error."""
    with rest({"GET /submissions": (200, [])}) as server:
        streams = captured(tmp_path)
        list_command.run(Common(server=server.url), streams.streams, 5)
    assert f"subcli submit --server {server.url} submits one" in " ".join(streams.out.getvalue().split())


def _texts(source: str) -> Iterator[str]:
    """Every string in a module, those with values in them as well: each value is an X."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)


def _proposed() -> set[str]:
    """Every command line in backquotes, in the program and in what its users read."""
    root = Path(subcli.__file__).parent
    texts = [text for path in root.rglob("*.py") if "problems" not in path.parts for text in _texts(path.read_text())]
    texts += [path.read_text() for path in (root.parents[1] / "README.md", *root.parents[1].glob("docs/*.md"))]
    return {line for text in texts for line in re.findall(r"`(subcli [^`]+)`", text)}


@pytest.mark.thorough
def test_every_command_that_is_proposed_exists() -> None:
    """With its options: a hint that ends in "No such command" is worse than none."""
    top = get_group(app)
    wrong = []
    for line in sorted(_proposed()):
        here, words = top, re.split(r"[ =]", line.partition(" <")[0].partition(" >")[0])[1:]
        for word in words:
            inner = getattr(here, "commands", {}).get(word)
            if inner is not None:
                here = inner
            elif re.fullmatch("[a-z-]+", word) and isinstance(here, TyperGroup) and not word.startswith("-"):
                wrong.append(line)
        options = {name for parameter in here.params for name in (*parameter.opts, *parameter.secondary_opts)}
        known = options | {"--help", "--version"}
        wrong += [line for word in words if re.match("-[a-z-]", word) and word not in known]
    assert not wrong
