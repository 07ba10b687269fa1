"""The commands that make one request: `status`, `list`, `cancel`, `open`, `problems`, `languages`, `init`."""

from __future__ import annotations

import contextlib
import dataclasses
import pty
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from subcli.cli.commands import cancel, init, languages, problems, status
from subcli.cli.commands import list as list_command
from subcli.cli.commands import open as open_command
from subcli.cli.common import Common, submission, submission_id
from subcli.cli.completion.candidates import candidates
from subcli.core.errors import NetworkError, NotFoundError, ServerError, UsageError
from tests.cli.rest import Rest, rest
from tests.cli.streams import captured

HOSTILE = [
    {"submission_id": "\x1b]0;pwned\x07\u009b31m", "id": 9, "status": "failed"},
    {"status": "failed"},
    "nothing",
    {"id": "12", "status": "failed", "url": "javascript:alert(1)"},
    {"submission_id": 11, "status": "failed"},
]
LRU = {"id": 2, "slug": "lru-cache", "title": "LRU cache", "languages": ["c", "python"], "description": "Forget."}
CPP = {
    "name": "cpp",
    "title": "C++",
    "endings": [".cpp", ".cc"],
    "problems": 2,
    "available": True,
    "version": "c++ \x1b[31m12.2.0",
}
RUBY = {"name": "ruby", "title": "Ruby", "endings": [".rb"], "problems": 1, "available": False, "version": None}
ANSWERS = {
    "GET /submissions": (200, HOSTILE),
    "GET /submissions/12": (200, {"id": 12, "status": "completed", "final_status": "passed", "problem_id": 2}),
    "GET /submissions/12/tests": (200, [{"test_name": "One", "status": "passed"}, "nothing"]),
    "POST /submissions/12/cancel": (200, {"status": "cancelled", "final_status": "cancelled"}),
    "POST /submissions/13/cancel": (409, {"detail": "It has its verdict."}),
    "GET /problems": (200, [LRU, "nothing", {"id": 3, "slug": "../evil"}]),
    "GET /languages": (200, {"languages": [CPP, RUBY, "lua", 3, {"title": "x"}]}),
    "GET /problems/lru-cache": (200, LRU),
    "GET /problems/lru-cache/template/python": (
        200,
        {"files": {"lru.py": "x = 1\n", "README.md": "Forget.\n"}, "submit": ["lru.py", "gone.py"]},
    ),
    "GET /problems/lru-cache/template/c": (200, {"files": {}}),
}


@pytest.fixture
def server() -> Iterator[Rest]:
    """A server with a few submissions and problems."""
    with rest(ANSWERS) as running:
        yield running


def test_list_of_a_hostile_server(server: Rest, home: Path) -> None:
    """A row without a number for an id is dropped: `subcli list -q | xargs` would hand it on as it is."""
    here = captured(home)
    assert list_command.run(Common(server=server.url, quiet=True), here.streams, 20) == 0
    assert here.out.getvalue() == "12\n11\n"


def test_list_as_json(server: Rest, home: Path) -> None:
    """Ids and pages stand under our names; a page is never more than an address."""
    here = captured(home)
    assert list_command.run(Common(server=server.url, json=True), here.streams, 20) == 0
    shown = [(row["submission_id"], row["url"]) for row in here.json["submissions"]]
    assert shown == [(12, f"{server.url}/submissions/12"), (11, f"{server.url}/submissions/11")]
    assert "\x1b" not in here.out.getvalue()
    assert "\x9b" not in here.out.getvalue()


def test_list_for_people(server: Rest, home: Path) -> None:
    """A table, without the control characters of the server."""
    here = captured(home)
    assert list_command.run(Common(server=server.url), here.streams, 1) == 0
    assert "12" in here.out.getvalue()
    assert "11" not in here.out.getvalue()
    assert "\x1b" not in here.out.getvalue()


def test_list_fills_the_cache_of_tab(server: Rest, home: Path) -> None:
    """But not where only a part was asked for."""
    at = ["--server", server.url]
    list_command.run(Common(server=server.url, quiet=True), captured(home).streams, 20, "lru-cache")
    assert candidates("ids", at, {}, home) == []
    list_command.run(Common(server=server.url, quiet=True), captured(home).streams, 20)
    assert candidates("ids", at, {}, home) == ["12", "11"]


def test_status(server: Rest, home: Path) -> None:
    """The object of the contract; the word alone with `-q`."""
    here = captured(home)
    assert status.run(Common(server=server.url, json=True), here.streams, 12) == 0
    shown = here.json
    assert (shown["submission_id"], shown["problem"], shown["final_status"]) == (12, 2, "passed")
    assert shown["tests"] == [{"test_name": "One", "status": "passed"}]
    assert shown["build_log"] is None
    quiet = captured(home)
    assert status.run(Common(server=server.url, quiet=True), quiet.streams, 12) == 0
    assert quiet.out.getvalue() == "passed\n"


def test_status_of_nothing(server: Rest, home: Path) -> None:
    """Exit 5."""
    with pytest.raises(NotFoundError):
        status.run(Common(server=server.url), captured(home).streams, 99)


def test_nobody_there(home: Path) -> None:
    """Exit 6."""
    with pytest.raises(NetworkError):
        status.run(Common(server="http://127.0.0.1:9"), captured(home).streams, 12)


@pytest.mark.parametrize(
    ("common", "out"), [(Common(), "#12 cancelled\n"), (Common(quiet=True), "cancelled\n")], ids=["human", "quiet"]
)
def test_cancel(server: Rest, home: Path, common: Common, out: str) -> None:
    """The state that the submission has then."""
    here = captured(home)
    assert cancel.run(msgspec.structs.replace(common, server=server.url), here.streams, 12) == 0
    assert here.out.getvalue() == out


def test_cancel_too_late(server: Rest, home: Path) -> None:
    """The hint reaches the same server."""
    with pytest.raises(UsageError) as raised:
        cancel.run(Common(server=server.url), captured(home).streams, 13)
    assert raised.value.hint == f"`subcli status 13 --server {server.url}` shows it."


def test_open(server: Rest, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is printed; with `-q` and `--json` nothing is opened; no browser is an error."""
    opened: list[str] = []

    def browse(streams: object, url: str) -> bool:
        opened.append(url)
        return False

    monkeypatch.setattr(open_command, "_browse", browse)
    page = f"{server.url}/submissions/12"
    for common in (Common(server=server.url, quiet=True), Common(server=server.url, json=True)):
        here = captured(home)
        assert open_command.run(common, here.streams, 12) == 0
        assert page in here.out.getvalue()
    assert opened == []
    with pytest.raises(UsageError, match="browser"):
        open_command.run(Common(server=server.url), captured(home).streams, 12)
    assert opened == [page]


def test_browser_that_cannot_be_understood(server: Rest, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quotation mark that is not closed is no browser, and no fault of ours."""
    monkeypatch.setenv("BROWSER", "firefox '%s")
    monkeypatch.setattr("webbrowser._tryorder", None)
    with pytest.raises(UsageError, match="browser"):
        open_command.run(Common(server=server.url), captured(home).streams, 12)


@pytest.mark.parametrize(
    ("info", "url", "query"),
    [
        ({"demo": True, "page_token": "aA1-_"}, None, "?token=aA1-_"),
        ({"demo": True, "page_token": "aA1-_"}, "https://evil.example/", ""),
        ({"demo": False, "page_token": "aA1-_"}, None, ""),
        ({"demo": True, "page_token": "a&b"}, None, ""),
        ({"demo": True, "page_token": 5}, None, ""),
        ({"demo": True}, None, ""),
        ({"demo": True, "page_token": "aA1-_", "theme": "colour-blind"}, None, "?token=aA1-_&theme=colour-blind"),
        ({"demo": False, "theme": "high_contrast"}, None, "?theme=high-contrast"),
        ({"demo": False, "theme": "default"}, None, ""),
        ({"demo": False, "theme": "colour-blind"}, "https://evil.example/", ""),
    ],
)
def test_open_carries_the_token_of_pages_and_the_theme(
    home: Path, monkeypatch: pytest.MonkeyPatch, info: dict[str, Any], url: str | None, query: str
) -> None:
    """The token in demo mode; both to this server only, and neither is printed."""
    opened: list[str] = []

    def browse(streams: object, url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(open_command, "_browse", browse)
    monkeypatch.setattr(open_command, "_ask_about_other_host", lambda *_: None)
    answers = {"GET /info": (200, info), "GET /submissions/12": (200, {"id": 12, "status": "passed", "url": url})}
    here = captured(home)
    here.streams.env["SUBCLI_THEME"] = info.get("theme", "")
    with rest(answers) as server:
        page = url or f"{server.url}/submissions/12"
        assert open_command.run(Common(server=server.url), here.streams, 12) == 0
    assert opened == [page + query]
    assert here.out.getvalue() == f"{page}\n"


@pytest.mark.parametrize("answer", [(500, {"detail": "broken"}), (429, {}), (200, [])])
def test_page_is_opened_though_the_token_is_not_to_be_had(
    home: Path, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asked for the token: where the request for it fails, the command does its work."""
    opened: list[str] = []

    def browse(streams: object, url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(open_command, "_browse", browse)
    answers = {"GET /info": answer, "GET /submissions/12": (200, {"id": 12, "status": "passed"})}
    with rest(answers) as server:
        assert open_command.run(Common(server=server.url), captured(home).streams, 12) == 0
        assert opened == [f"{server.url}/submissions/12"]


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("https://evil.example/submissions/12", "y\n"),
        ("https://evil.example/submissions/12", "n\n"),
        ("https://evil.example/submissions/12", "\x04"),
        ("https://evil.example/submissions/12", None),
        ("http://{host}@evil.example/", "\n"),
        ("http://user@{host}/", "\n"),
        ("http://{host}.evil.example/", "\n"),
        ("http://127.0.0.1:1/", "\n"),
        ("https://{host}/", "\n"),
    ],
)
def test_open_asks_about_another_host(
    home: Path, monkeypatch: pytest.MonkeyPatch, url: str, answer: str | None
) -> None:
    """The address is printed in any case; it is opened after a yes on a terminal, and never without one."""
    opened: list[str] = []

    def browse(streams: object, url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(open_command, "_browse", browse)
    answers: dict[str, tuple[int, Any]] = {}
    keyboard, terminal = pty.openpty()
    here = captured(home, tty=True)
    with rest(answers) as server, open(terminal) as stdin, open(keyboard, "wb", buffering=0) as typing:
        page = url.format(host=server.url.removeprefix("http://"))
        answers["GET /submissions/12"] = (200, {"id": 12, "status": "passed", "url": page})
        typing.write((answer or "y\n").encode())
        common = Common(server=server.url, no_input=answer is None)
        streams = dataclasses.replace(here.streams, stdin=stdin)
        with contextlib.nullcontext() if answer == "y\n" else pytest.raises(UsageError, match="not opened"):
            open_command.run(common, streams, 12)
    assert opened == ([page] if answer == "y\n" else [])
    assert here.out.getvalue() == f"{page}\n"
    assert ("[y/N]" in here.err.getvalue()) == (answer is not None)


def test_languages(server: Rest, home: Path) -> None:
    """Each with its version, without what would control the terminal; what cannot be judged now says so."""
    here = captured(home)
    assert languages.run(Common(server=server.url), here.streams) == 0
    lines = here.out.getvalue().splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["NAME", "LANGUAGE"], ["cpp", "C++"], ["ruby", "Ruby"]]
    assert "12.2.0" in lines[1]
    assert "\x1b" not in lines[1]
    assert lines[2].endswith("not available now")
    here = captured(home)
    assert languages.run(Common(server=server.url, json=True), here.streams) == 0
    assert here.json["languages"] == [CPP, RUBY, {"name": "lua"}]
    here = captured(home)
    assert languages.run(Common(server=server.url, quiet=True), here.streams) == 0
    assert here.out.getvalue() == "cpp\nlua\n"


def test_server_that_does_not_tell_its_languages(home: Path) -> None:
    """One sentence says so, and what to do instead."""
    with rest({}) as old:
        with pytest.raises(ServerError) as caught:
            languages.run(Common(server=old.url), captured(home).streams)
        assert old.asked == ["GET /languages"]
    assert str(caught.value) == "This server does not report which languages it can run."
    assert "subcli problems" in str(caught.value.hint)


def test_problems(server: Rest, home: Path) -> None:
    """Slugs that are safe to hand on; all rows in JSON; the cache of TAB is refreshed."""
    here = captured(home)
    assert problems.list_problems(Common(server=server.url, quiet=True), here.streams) == 0
    assert here.out.getvalue() == "lru-cache\n"
    at = ["--server", server.url]
    assert candidates("problems", at, {}, home) == ["lru-cache"]
    assert candidates("languages", at, {}, home) == ["c", "python"]
    here = captured(home)
    assert problems.list_problems(Common(server=server.url, json=True), here.streams) == 0
    assert len(here.json["problems"]) == 2


def test_show_problem(server: Rest, home: Path) -> None:
    """Its description, for people and for machines."""
    here = captured(home)
    assert problems.show_problem(Common(server=server.url), here.streams, "lru-cache") == 0
    assert "LRU cache" in here.out.getvalue()
    here = captured(home)
    assert problems.show_problem(Common(server=server.url, json=True), here.streams, "lru-cache") == 0
    assert here.json["problem"]["slug"] == "lru-cache"


def test_init(server: Rest, home: Path) -> None:
    """The template, the settings that `subcli submit` needs, and what to do next."""
    here = captured(home)
    assert init.run(Common(server=server.url), here.streams, "lru-cache") == 0
    assert (home / "lru-cache/lru.py").read_text() == "x = 1\n"
    project = tomllib.loads((home / "lru-cache/.subcli.toml").read_text())
    assert project == {"problem": "lru-cache", "language": "python", "files": ["lru.py"]}
    assert here.err.getvalue() == (f"Edit lru.py, then: cd lru-cache && subcli submit --server {server.url}\n")


@pytest.mark.parametrize("common", [Common(quiet=True), Common(json=True)], ids=["quiet", "json"])
def test_init_for_scripts(server: Rest, home: Path, common: Common) -> None:
    """The directory, and nothing on stderr."""
    here = captured(home)
    assert init.run(msgspec.structs.replace(common, server=server.url), here.streams, "lru-cache", Path("here")) == 0
    assert here.err.getvalue() == ""
    if common.json:
        assert here.json["directory"] == "here"
    else:
        assert here.out.getvalue() == "here\n"


def test_init_without_a_template(server: Rest, home: Path) -> None:
    """Nothing is made."""
    with pytest.raises(UsageError, match="lru-cache has no template for c"):
        init.run(Common(server=server.url), captured(home).streams, "lru-cache", None, "c")
    assert not (home / "lru-cache").exists()


# -- another platform (contract, section 6) -----------------------------------------------------------

NUMBER = 2**63 - 1
OTHER = {
    "GET /problems": (200, [{"id": 3, "title": "Leader Election", "supported_languages": ["go", "cpp"]}]),
    "GET /problems/leader-election": (422, {"detail": [{"loc": ["path", "problem_id"], "msg": "not an integer"}]}),
    "GET /problems/3": (200, {"id": 3, "title": "Leader Election", "supported_languages": ["go", "cpp"]}),
    "GET /problems/3/template/go": (200, {"template": "package main\n"}),
    "GET /submissions": (
        200,
        [{"id": NUMBER, "problem_id": 3}, {"id": 6, "problem_id": 4}, {"id": 5, "problem": {"id": 3}}, {"id": 4}],
    ),
    f"GET /submissions/{NUMBER}": (
        200,
        {"id": NUMBER, "status": "build_failed", "error_message": "the build broke", "build_logs": "main.go:1: no"},
    ),
    f"GET /submissions/{NUMBER}/tests": (
        200,
        [{"id": 1, "test_name": "One", "status": "failed", "details": {"error": "no leader"}}],
    ),
    "POST /submissions/5/cancel": (405, {"detail": "Method Not Allowed"}),
    "GET /submissions/5": (200, {"id": 5, "status": "testing"}),
}


@pytest.fixture
def other() -> Iterator[Rest]:
    """A server that knows problems by their ids, ignores filters and cannot cancel."""
    with rest(OTHER) as running:
        yield running


def test_slugs_where_only_ids_are_known(other: Rest, home: Path) -> None:
    """In every command that takes a problem; `supported_languages` and the one text of a template are understood."""
    here = captured(home)
    assert problems.show_problem(Common(server=other.url, json=True), here.streams, "leader-election") == 0
    assert here.json["problem"]["languages"] == ["go", "cpp"]
    assert init.run(Common(server=other.url), captured(home).streams, "leader-election", home / "le") == 0
    assert (home / "le" / "solution.go").read_text() == "package main\n"
    project = tomllib.loads((home / "le" / ".subcli.toml").read_text())
    assert project == {"problem": "leader-election", "language": "go", "files": ["solution.go"]}


@pytest.mark.parametrize(
    ("problem", "listed"), [("leader-election", [NUMBER, 5, 4]), ("3", [NUMBER, 5, 4]), ("4", [6, 4])]
)
def test_filter_that_the_server_ignores(other: Rest, home: Path, problem: str, listed: list[int]) -> None:
    """The client applies it too; what does not say for which problem it is stays."""
    here = captured(home)
    assert list_command.run(Common(server=other.url, quiet=True), here.streams, 20, problem) == 0
    assert here.out.getvalue().split() == [str(number) for number in listed]


def test_cancel_where_there_is_no_such_route(other: Rest, home: Path) -> None:
    """It says so, and what does not exist is still not found."""
    for number in (5, NUMBER):
        with pytest.raises(ServerError, match="cannot cancel"):
            cancel.run(Common(server=other.url), captured(home).streams, number)
    with pytest.raises(NotFoundError):
        cancel.run(Common(server=other.url), captured(home).streams, 99)


def test_status_says_why(other: Rest, home: Path) -> None:
    """`error_message`, `build_logs` and `details.error` are shown; ids have 64 bits."""
    here = captured(home)
    assert status.run(Common(server=other.url), here.streams, submission_id(f"#{NUMBER}")) == 0
    for words in ("the build broke", "main.go:1: no", "no leader"):
        assert here.out.getvalue().count(words) == 1
    here = captured(home)
    assert status.run(Common(server=other.url, json=True), here.streams, NUMBER) == 0
    assert (here.json["build_log"], here.json["error_message"]) == ("main.go:1: no", "the build broke")
    for text in (str(NUMBER + 1), "9" * 40, "1.5", ""):
        with pytest.raises(UsageError, match="not a valid submission id"):
            submission_id(text)


@pytest.mark.parametrize("run", [status.run, cancel.run, open_command.run], ids=["status", "cancel", "open"])
def test_default_is_the_latest_submission(run: Any, home: Path) -> None:
    """Without an id, the latest submission is meant, and the output says which one it is."""
    with rest({**ANSWERS, "GET /submissions": (200, [{"id": 12}, {"id": 9}])}) as server:
        here = captured(home)
        assert run(Common(json=True, server=server.url), here.streams, None) == 0
    assert '"submission_id":12' in here.out.getvalue()


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("http://h/submissions/12", "http://h"),
        ("https://h/judge/api/submissions/12/events?after=3", "https://h/judge"),
        ("ws://h:8000/ws/submissions/12?token=x", "http://h:8000"),
        ("WSS://h/judge/ws/submissions/12", "https://h/judge"),
    ],
)
def test_pasted_url(text: str, server: str) -> None:
    """The address of a page, of a REST resource or of a socket names the server and the submission."""
    assert submission(text) == (server, 12)
