"""Commands that a hint proposes: they reach the same server as the command that failed, and name the submission."""

from __future__ import annotations

from pathlib import Path

import pytest

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
