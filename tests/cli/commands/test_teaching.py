"""The commands of teachers, and the one that gets code back: `rejudge`, `results`, `source`, and `list` in pages."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import typer

from subcli.cli.commands import list as list_command
from subcli.cli.commands import rejudge, results, source, status
from subcli.cli.common import Common
from subcli.cli.moment import moment
from subcli.client.api import Whose
from subcli.client.listing import ListQuery
from subcli.core.errors import NotFoundError, ServerError, SubcliError, UsageError
from tests.cli.streams import captured

INFO = {"name": "subcli", "version": "1", "demo": False}
FEATURES = ["lists", "runs", "roles", "rejudge", "results"]


@dataclass
class Judge:
    """A server that answers as the test says, and remembers what it was asked."""

    url: str = ""
    features: list[str] = field(default_factory=lambda: list(FEATURES))
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    answer: Callable[[str, dict[str, Any]], tuple[int, Any]] = lambda call, given: (404, {"detail": "not found"})


@pytest.fixture
def judge() -> Iterator[Judge]:
    here = Judge()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.removeprefix("/api").partition("?")
            self._answer(f"GET {path}", dict(parse_qsl(query)))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(f"POST {self.path.removeprefix('/api')}", json.loads(body))

        def _answer(self, call: str, given: dict[str, Any]) -> None:
            if call == "GET /info":
                code, body = 200, {**INFO, "features": here.features}
            else:
                here.asked.append((call, given))
                code, body = here.answer(call, given)
            data = json.dumps(body).encode()
            with contextlib.suppress(OSError):
                self.send_response(code)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        here.url = f"http://127.0.0.1:{httpd.server_port}"
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield here
        httpd.shutdown()


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "problem": "lru", "language": "python", "status": "failed", "final_status": "failed", **more}


# -- list -----------------------------------------------------------------------------------------


def pages(count: int) -> Callable[[str, dict[str, Any]], tuple[int, Any]]:
    """A list of so many submissions."""

    def answer(call: str, given: Mapping[str, Any]) -> tuple[int, Any]:
        start, limit = int(given.get("cursor", count)), int(given["limit"])
        found = [row(number, user="ada") for number in range(start, max(start - limit, 0), -1)]
        more = {"next_cursor": str(start - limit)} if start > limit else {}
        return 200, {"submissions": found, **more}

    return answer


def test_a_list_in_pages(judge: Judge, home: Path) -> None:
    """As many requests as it takes, and the cursor if there are more."""
    judge.answer = pages(250)
    here = captured(home)
    query = ListQuery(230, "lru", Whose("ada"), "failed", "failed", "2026-11-01T00:00:00Z")
    assert list_command.run_query(Common(server=judge.url, json=True), here.streams, query) == 0
    assert [each["submission_id"] for each in here.json["submissions"]] == list(range(250, 20, -1))
    assert here.json["next_cursor"] == "20"
    given = [given for _, given in judge.asked]
    assert [each["limit"] for each in given] == ["100", "100", "30"]
    assert given[1] == {"problem": "lru", "user": "ada", "verdict": "failed", "status": "failed",
                        "since": "2026-11-01T00:00:00Z", "limit": "100", "cursor": "150"}  # fmt: skip


def test_a_list_that_goes_on(judge: Judge, home: Path) -> None:
    """Stderr says how, with the same filters; the last page says nothing."""
    judge.answer = pages(30)
    here = captured(home)
    query = ListQuery(20, "lru", Whose("ada"), verdict="failed")
    list_command.run_query(Common(server=judge.url, quiet=True), here.streams, query, all_others=True)
    line = f"subcli list --all --problem lru --user ada --verdict failed --cursor 10 --server {judge.url}"
    assert here.err.getvalue() == f"There are more: `{line}` goes on.\n"
    here = captured(home)
    list_command.run_query(Common(server=judge.url), here.streams, query._replace(cursor="10"))
    assert here.err.getvalue() == ""
    assert "ada" in here.out.getvalue()


def test_a_list_of_an_older_server(judge: Judge, home: Path) -> None:
    """It would ignore the filters: said so, and nothing is listed. A list without any works there."""
    judge.features.remove("lists")
    judge.answer = pages(30)
    with pytest.raises(ServerError, match="cannot filter lists"):
        list_command.run_query(Common(server=judge.url), captured(home).streams, ListQuery(verdict="passed"))
    assert judge.asked == []
    here = captured(home)
    list_command.run_query(Common(server=judge.url, quiet=True), here.streams, ListQuery(5, whose=Whose()))
    assert here.out.getvalue() == "30\n29\n28\n27\n26\n"


def test_a_list_of_a_retired_problem(judge: Judge, home: Path) -> None:
    """Named by its id, which stands neither in the rows nor among the problems: the server has filtered by it."""
    judge.answer = lambda call, given: (
        (200, {"submissions": [row(5)]}) if given.get("problem") == "41" else (200, {"problems": []})
    )
    here = captured(home)
    assert list_command.run(Common(server=judge.url, quiet=True), here.streams, 20, "41") == 0
    assert here.out.getvalue() == "5\n"


@pytest.mark.parametrize("cursor", ["5", "\x1b[2J", "", 7, None])
def test_a_list_that_never_ends(judge: Judge, home: Path, cursor: object) -> None:
    """A server that repeats a cursor, or has none that is one, is not asked for ever."""
    judge.answer = lambda call, given: (200, {"submissions": [row(5)], "next_cursor": cursor})
    here = captured(home)
    query = ListQuery(500, whose=Whose(), cursor="5")
    list_command.run_query(Common(server=judge.url, json=True), here.streams, query)
    assert len(judge.asked) == 1
    assert "next_cursor" not in here.json


def test_nothing_matches(judge: Judge, home: Path) -> None:
    """Which is not the same as not having submitted anything."""
    judge.answer = pages(0)
    here = captured(home)
    list_command.run_query(Common(server=judge.url), here.streams, ListQuery(verdict="passed"))
    assert here.out.getvalue() == "No submissions match.\n"


def test_moments() -> None:
    """So long ago, a day or a time; with the zone of this machine where none is given."""
    assert moment("2026-11-28T18:00:00+02:00") == "2026-11-28T16:00:00Z"
    assert moment("2026-11-28").endswith("Z")
    assert moment("7d") < moment("1m")
    for bad in ("", "yesterday", "7", "0d", "9" * 7 + "w", "999999w", "2026-13-01"):
        with pytest.raises(typer.BadParameter, match="not a valid time"):
            moment(bad)


# -- rejudge --------------------------------------------------------------------------------------

COUNTED = {"dry_run": True, "matched": 3000, "unfinished": 2, "unknown": 0, "users": 287, "verdicts": {"failed": 3000}}


def rejudging(call: str, given: dict[str, Any]) -> tuple[int, Any]:
    if given["dry_run"]:
        return 200, COUNTED
    done = {"dry_run": False, "matched": 100, "unfinished": 0, "unknown": 0, "queued": 90, "repeated": 10}
    number = int(given.get("cursor", 0)) + 1
    return 200, done if number == 30 else {**done, "next_cursor": str(number)}


ALL = rejudge.Chosen(problem="lru", verdict="failed", since="2026-11-01T00:00:00Z")


def test_only_counted(judge: Judge, home: Path) -> None:
    """Without `--yes`, whoever asks: one request, which changes nothing."""
    judge.answer = rejudging
    here = captured(home)
    assert rejudge.run(Common(server=judge.url), here.streams, ALL) == 0
    assert here.out.getvalue() == (
        "3,000 submissions of 287 users: 3,000 failed. 2 more have no verdict yet and are left alone.\n"
    )
    assert here.err.getvalue() == "Nothing was changed. The same command with `--yes` has them judged again.\n"
    asked = {"problem": "lru", "verdict": "failed", "since": "2026-11-01T00:00:00Z", "dry_run": True}
    assert judge.asked == [("POST /rejudges", asked)]
    here = captured(home)
    rejudge.run(Common(server=judge.url, json=True), here.streams, ALL)
    expected = {name: value for name, value in COUNTED.items() if name != "unknown"}
    assert here.json["rejudge"] == {**expected, "queued": 0}


def test_judged_again(judge: Judge, home: Path) -> None:
    """Page by page, all with one key."""
    judge.answer = rejudging
    here = captured(home)
    assert rejudge.run(Common(server=judge.url), here.streams, ALL, yes=True) == 0
    assert here.out.getvalue() == "3,000 submissions will be judged again, after those that were never judged.\n"
    sent = [given for _, given in judge.asked[1:]]
    assert len(sent) == 30
    assert len({given["key"] for given in sent}) == 1
    assert [given.get("cursor") for given in sent] == [None, *map(str, range(1, 30))]


def test_single_submissions(judge: Judge, home: Path) -> None:
    """At most a hundred in a request, each once; one that does not exist stops everything before it begins."""
    judge.answer = lambda call, given: (
        200,
        {**COUNTED, "matched": len(given["submissions"]), "queued": len(given["submissions"])},
    )
    here = captured(home)
    chosen = rejudge.Chosen([*range(1, 151), 1, 2])
    rejudge.run(Common(server=judge.url, quiet=True), here.streams, chosen, yes=True)
    assert here.out.getvalue() == "150\n"
    assert [len(given["submissions"]) for _, given in judge.asked] == [100, 50, 100, 50]
    judge.asked.clear()
    judge.answer = lambda call, given: (200, {**COUNTED, "unknown": 1})
    with pytest.raises(NotFoundError, match="One of these submissions does not exist"):
        rejudge.run(Common(server=judge.url), captured(home).streams, rejudge.Chosen([1]), yes=True)
    assert [given["dry_run"] for _, given in judge.asked] == [True]


def test_interrupted_in_the_middle(judge: Judge, home: Path) -> None:
    """The error says how many are queued, and how to go on; that repeats the key."""

    def failing(call: str, given: dict[str, Any]) -> tuple[int, Any]:
        return (422, {"detail": "cursor: not a cursor."}) if given.get("cursor") == "3" else rejudging(call, given)

    judge.answer = failing
    with pytest.raises(SubcliError) as error:
        rejudge.run(Common(server=judge.url), captured(home).streams, ALL, yes=True)
    assert "300 submissions are queued." in error.value.message
    key = judge.asked[-1][1]["key"]
    assert f"The same command with `--key {key}` goes on." in error.value.hint
    judge.answer = rejudging
    judge.asked.clear()
    rejudge.run(Common(server=judge.url), captured(home).streams, ALL, yes=True, key=key)
    assert {given["key"] for _, given in judge.asked[1:]} == {key}


def test_a_server_that_repeats_itself(judge: Judge, home: Path) -> None:
    """Is not asked for ever."""
    judge.answer = lambda call, given: (200, {**COUNTED, "queued": 1, "next_cursor": "x"})
    with pytest.raises(ServerError, match="repeats itself"):
        rejudge.run(Common(server=judge.url), captured(home).streams, ALL, yes=True)


@pytest.mark.parametrize("command", [rejudge, results])
def test_servers_without_them(judge: Judge, home: Path, command: Any) -> None:
    """One sentence, and nothing is sent."""
    judge.features.clear()
    with pytest.raises(ServerError, match="This server cannot"):
        command.run(Common(server=judge.url), captured(home).streams, ALL if command is rejudge else "lru")
    assert judge.asked == []


# -- results --------------------------------------------------------------------------------------

ROWS = [
    {"user": "ada", "attempts": 3, "unfinished": 0, "verdict": "passed", "status": "completed", "score": 99.5,
     "max_score": 100.0, "passed": 12, "total_tests": 12, "submission_id": 7, "run": 2, "language": "c",
     "submitted_at": "2026-11-28T08:00:00Z"},
    {"user": "bob", "attempts": 1, "unfinished": 1, "status": "pending", "submission_id": 9, "run": 1},
    {"user": "cyd", "attempts": 0, "unfinished": 0},
]  # fmt: skip


def resulting(call: str, given: dict[str, Any]) -> tuple[int, Any]:
    number = int(given.get("cursor", 0))
    more = {"next_cursor": str(number + 1)} if number < 2 else {}
    return 200, {"problem": "lru", "results": [ROWS[number]], **more}


def test_results_for_people(judge: Judge, home: Path) -> None:
    """A row for each user; what is not known is empty, and the counts stand below."""
    judge.answer = resulting
    here = captured(home)
    assert results.run(Common(server=judge.url), here.streams, "lru") == 0
    lines = [line.split() for line in here.out.getvalue().splitlines()]
    assert lines[0] == ["USER", "VERDICT", "POINTS", "TESTS", "ATTEMPTS", "ID", "SUBMITTED"]
    assert lines[1][0] == "ada"
    assert {"12/12", "3", "7"} <= set(lines[1])
    assert lines[3][0] == "cyd"
    assert "1 of 3 passed, 2 have submitted" in here.out.getvalue()
    assert "1 submission has no verdict yet: the results may change" in here.out.getvalue()
    assert [given["which"] for _, given in judge.asked] == ["best"] * 3


def test_results_of_one_user(judge: Judge, home: Path) -> None:
    """The counts are a sentence for one as well."""
    judge.answer = lambda call, given: (200, {"problem": "lru", "results": ROWS[:1]})
    here = captured(home)
    assert results.run(Common(server=judge.url), here.streams, "lru") == 0
    assert "1 of 1 passed, 1 has submitted" in here.out.getvalue()


@pytest.mark.parametrize("as_csv", [False, True])
def test_results_without_an_end(judge: Judge, home: Path, monkeypatch: pytest.MonkeyPatch, as_csv: bool) -> None:
    """A server that always has another page is not asked for ever, nor kept in memory."""
    monkeypatch.setattr(results, "_MOST_ROWS", 500)
    numbers = itertools.count()
    judge.answer = lambda call, given: (
        200,
        {"problem": "lru", "results": ROWS[:1] * 200, "next_cursor": str(next(numbers))},
    )
    with pytest.raises(ServerError, match="more than 500 users"):
        results.run(Common(server=judge.url), captured(home).streams, "lru", as_csv=as_csv)
    assert len(judge.asked) == 3
    # Pages without anybody have no end either.
    judge.answer = lambda call, given: (200, {"problem": "lru", "results": [], "next_cursor": str(next(numbers))})
    results.run(Common(server=judge.url), captured(home).streams, "lru", as_csv=as_csv)
    assert len(judge.asked) == 4


def test_results_as_csv_json_and_words(judge: Judge, home: Path) -> None:
    """Every page of them, with one header."""
    judge.answer = resulting
    here = captured(home)
    results.run(Common(server=judge.url), here.streams, "lru", last=True, as_csv=True)
    header, *rows = list(csv.reader(io.StringIO(here.out.getvalue())))
    assert tuple(header) == results.COLUMNS
    assert rows[0] == ["ada", "passed", "99.5", "100", "12", "12", "3", "0", "7", "2", "c", "2026-11-28T08:00:00Z"]
    assert rows[2] == ["cyd", *[""] * 5, "0", "0", *[""] * 4]
    assert judge.asked[0][1]["which"] == "last"
    here = captured(home)
    results.run(Common(server=judge.url, json=True), here.streams, "lru")
    assert here.json["results"] == ROWS
    here = captured(home)
    results.run(Common(server=judge.url, quiet=True), here.streams, "lru")
    assert here.out.getvalue() == "ada passed\nbob pending\ncyd none\n"


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@x", "\t=1", "=cmd|' /C calc'!A0", " =1", "\u00a0=1", "\uff1d1", "\uff0b1", "\uff201"]
)
def test_formulas_are_only_text(name: str) -> None:
    """Whatever a spreadsheet would execute begins with an apostrophe; numbers stay numbers, negative ones too."""
    [header, cells] = csv.reader(io.StringIO(results.csv_text([{"user": name, "score": -5.0}], with_header=True)))
    assert cells[0].startswith("'")
    assert cells[header.index("score")] == "-5"


@pytest.mark.parametrize("name", ["a;=1+1", 'a; "=1"', "a\t=1", "a;\uff1d1", "a; ;+1"])
def test_formulas_behind_other_separators(name: str) -> None:
    """Where the comma is the decimal sign, spreadsheets separate cells by semicolons, and some by tabs."""
    text = results.csv_text([{"user": name}], with_header=False)
    for cell in re.split(r"[;\t]", text)[1:]:
        assert cell.lstrip(' "')[:1] in ("'", ""), text


def test_cells_are_one_line_each() -> None:
    """Quotes, commas, line ends and control characters of a server make no other cells and obey no terminal."""
    text = results.csv_text([{"user": 'a,"b"\r\nc\x1b[2J'}], with_header=False)
    [cells] = csv.reader(io.StringIO(text))
    assert len(cells) == len(results.COLUMNS)
    assert "\x1b" not in text
    assert text.count("\n") == 1


# -- source ---------------------------------------------------------------------------------------


def submitted(**files: str) -> Callable[[str, dict[str, Any]], tuple[int, Any]]:
    answers = {"GET /submissions/12": row(12), "GET /submissions/12/files": {"submission_id": 12, "files": files}}
    return lambda call, given: (200, answers[call]) if call in answers else (404, {"detail": "There is none."})


def test_code_comes_back(judge: Judge, home: Path) -> None:
    """With its directories and its line ends, into a new directory or the one that is named."""
    files = {"a.py": "import lib.b\r\n", "lib/b.py": "x = '\u00e9'\n"}
    judge.answer = submitted(**files)
    here = captured(home)
    assert source.run(Common(server=judge.url), here.streams, 12) == 0
    assert here.out.getvalue() == "Wrote 2 files to submission-12: a.py, lib/b.py.\n"
    assert source.run(Common(server=judge.url, json=True), (here := captured(home)).streams, 12, Path("x/y")) == 0
    assert here.json["source"] == {"submission_id": 12, "directory": "x/y", "files": ["a.py", "lib/b.py"]}
    for directory in ("submission-12", "x/y"):
        for name, text in files.items():
            assert (home / directory / name).read_bytes() == text.encode()


def test_nothing_is_overwritten(judge: Judge, home: Path) -> None:
    """Not even one of several; with `--force`, but through no link."""
    judge.answer = submitted(**{"a.py": "new\n", "b.py": "new\n"})
    (home / "d").mkdir()
    (home / "d" / "b.py").write_text("mine\n")
    common = Common(server=judge.url)
    with pytest.raises(UsageError, match="already exists") as error:
        source.run(common, captured(home).streams, 12, Path("d"))
    assert "--force" in error.value.hint
    assert not (home / "d" / "a.py").exists()
    assert (home / "d" / "b.py").read_text() == "mine\n"
    source.run(common, captured(home).streams, 12, Path("d"), force=True)
    assert (home / "d" / "b.py").read_text() == "new\n"
    (home / "d" / "a.py").unlink()
    (home / "outside").write_text("mine\n")
    (home / "d" / "a.py").symlink_to(home / "outside")
    with pytest.raises(UsageError):
        source.run(common, captured(home).streams, 12, Path("d"), force=True)
    assert (home / "outside").read_text() == "mine\n"


@pytest.mark.parametrize("kind", ["another name of a file elsewhere", "pipe", "device"])
def test_only_files_are_replaced(judge: Judge, home: Path, kind: str) -> None:
    """With `--force`: what has another name elsewhere stays there as it is, and what is no file never keeps us."""
    judge.answer = submitted(**{"a.py": "new\n"})
    (home / "d").mkdir()
    (home / "elsewhere").write_text("mine\n")
    place = home / "d" / "a.py"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/full")
    else:
        place.hardlink_to(home / "elsewhere")
    with contextlib.suppress(UsageError) if kind == "device" else contextlib.nullcontext():
        source.run(Common(server=judge.url), captured(home).streams, 12, Path("d"), force=True)
    assert (home / "elsewhere").read_text() == "mine\n"
    if kind != "device":
        assert place.read_text() == "new\n"
    assert sorted(path.name for path in (home / "d").iterdir()) == ["a.py"]


def test_unsafe_names_are_left_out(judge: Judge, home: Path) -> None:
    """A student chose them; the teacher gets the rest, and is told."""
    bad = ["../evil", "/etc/x", ".git/hooks/post-checkout", "a/../../b", "a\x1b[2J", "a\\b", "x" * 201, "a//b"]
    # What `tar *` takes for options, what looks like another name, and what no file system takes.
    bad += ["--checkpoint=1", "-rf", "lib/-x", "a\u3164.py", "a\ufe0f.py", "\U0001f600" * 64]
    judge.answer = submitted(**dict.fromkeys(bad, "evil"), **{"ok.py": "x\n"})
    here = captured(home)
    assert source.run(Common(server=judge.url, quiet=True), here.streams, 12, Path("d")) == 0
    assert [str(path.relative_to(home / "d")) for path in (home / "d").rglob("*")] == ["ok.py"]
    assert here.err.getvalue().count("Left out ") == len(bad)
    assert "\x1b" not in here.err.getvalue()
    assert not (home / "evil").exists()
    judge.answer = submitted(**{"../evil": "x"})
    with pytest.raises(UsageError, match="safe to write"):
        source.run(Common(server=judge.url), captured(home).streams, 12)


def test_code_on_stdout(judge: Judge, home: Path) -> None:
    """One file as it is; several need a directory."""
    judge.answer = submitted(**{"a.py": "print()\n"})
    here = captured(home)
    source.run(Common(server=judge.url), here.streams, 12, Path("-"))
    assert here.out.getvalue() == "print()\n"
    with pytest.raises(UsageError, match="excludes"):
        source.run(Common(server=judge.url, json=True), captured(home).streams, 12, Path("-"))
    judge.answer = submitted(**{"a.py": "", "b.py": ""})
    with pytest.raises(UsageError, match="has 2 files"):
        source.run(Common(server=judge.url), captured(home).streams, 12, Path("-"))


def test_code_of_nothing(judge: Judge, home: Path) -> None:
    """A submission that does not exist, or is not one's own, is not found."""
    judge.answer = submitted()
    with pytest.raises(NotFoundError):
        source.run(Common(server=judge.url), captured(home).streams, 13)
    with pytest.raises(ServerError, match="does not give"):
        source.run(Common(server=judge.url), captured(home).streams, 12)


# -- status ---------------------------------------------------------------------------------------


def test_the_history_of_runs(judge: Judge, home: Path) -> None:
    """A line for each, and which one is shown; `--run` asks for it, and a submission that was judged once has none."""
    runs = [
        {"run": 1, "status": "failed", "final_status": "failed", "summary": {"total_tests": 3, "passed": 1},
         "finished_at": "2026-11-27T08:00:00Z"},
        {"run": 2, "status": "pending", "final_status": None, "asked_at": "2026-11-28T08:00:00Z"},
    ]  # fmt: skip
    shown = row(12, run=1, runs=runs)
    judge.answer = lambda call, given: (200, {"tests": []} if call.endswith("tests") else shown)
    here = captured(home)
    status.run(Common(server=judge.url), here.streams, 12, judging=1)
    assert [given.get("run") for _, given in judge.asked] == ["1", "1"]
    said = here.out.getvalue().splitlines()
    assert any("run 1" in line and "1/3" in line and "shown here" in line for line in said)
    assert any("run 2" in line and "pending" in line and "shown here" not in line for line in said)
    here = captured(home)
    status.run(Common(server=judge.url, json=True), here.streams, 12)
    assert (here.json["run"], here.json["runs"]) == (1, runs)
    shown = row(12, run=1, runs=runs[:1])
    here = captured(home)
    status.run(Common(server=judge.url), here.streams, 12)
    assert "run 1" not in here.out.getvalue()
