"""Which language `subcli submit` submits in, if neither `--language` nor the file extension says so."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from subcli.cli.commands.submit import make_job
from subcli.cli.common import Common
from subcli.cli.watching.options import Options
from subcli.core.errors import NotFoundError, UsageError, WatchTimeoutError
from tests.cli.rest import Rest, rest
from tests.cli.streams import captured

ANSWERS = {
    "GET /problems/joins": (200, {"id": 1, "slug": "joins", "languages": ["sqlite"]}),
    "GET /problems/many": (
        200,
        {
            "id": 2,
            "languages": ["sqlite", "postgresql", "prolog", 7],
            "sources": {"sqlite": "query.sql", "postgresql": "query.sql", "prolog": "rules.pro", "odd": 1},
        },
    ),
    "GET /problems/other-platform": (200, {"id": 3, "languages": None}),
}


@pytest.fixture
def server() -> Iterator[Rest]:
    """A server whose problems are solved in SQL."""
    with rest(ANSWERS) as running:
        yield running


def language(server: Rest, home: Path, name: str, problem: str, given: str | None = None) -> str:
    (home / name).write_text("select 1;\n")
    here = captured(home)
    common = Common(server=server.url)
    settings = common.settings(here.streams, problem=problem, language=given)
    return make_job(common, here.streams, Options(), [str(home / name)], settings).language


def test_only_language_of_the_problem(server: Rest, home: Path) -> None:
    """It can be no other, whatever the file is called."""
    assert language(server, home, "query.sql", "joins") == "sqlite"
    assert language(server, home, "answer", "joins") == "sqlite"


def test_only_language_with_that_extension(server: Rest, home: Path) -> None:
    """Of several languages, the one whose source has the extension of the file."""
    assert language(server, home, "mine.pro", "many") == "prolog"


@pytest.mark.parametrize(("name", "problem"), [("a.sql", "many"), ("a.xyz", "many"), ("a.xyz", "other-platform")])
def test_language_that_stays_unknown(server: Rest, home: Path, name: str, problem: str) -> None:
    """Two languages with that extension, none, or a server that does not tell: the option is named."""
    with pytest.raises(UsageError, match="cannot be inferred") as caught:
        language(server, home, name, problem)
    assert "--language" in caught.value.hint


def test_dialect_is_left_to_the_server(server: Rest, home: Path) -> None:
    """Where the server does not tell the languages of the problem, SQL is SQL."""
    assert language(server, home, "a.sql", "other-platform") == "sql"


def test_known_extension_asks_nobody(server: Rest, home: Path) -> None:
    """What the extension or the option says needs no server."""
    assert language(server, home, "a.py", "nowhere") == "python"
    assert language(server, home, "a.sql", "nowhere", "sqlite") == "sqlite"
    with pytest.raises(NotFoundError):
        language(server, home, "a.sql", "nowhere")


def test_timeout_counts_the_question(home: Path) -> None:
    """A server that accepts and never answers is waited for no longer than `--timeout` says."""
    (home / "a.sql").write_text("select 1;\n")
    here = captured(home)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        common = Common(server=f"http://127.0.0.1:{silent.getsockname()[1]}")
        settings = common.settings(here.streams, problem="joins")
        with pytest.raises(WatchTimeoutError, match=r"within 0\.5 s") as caught:
            make_job(common, here.streams, Options(timeout=0.5), [str(home / "a.sql")], settings)
    assert "Nothing was submitted" in caught.value.hint
