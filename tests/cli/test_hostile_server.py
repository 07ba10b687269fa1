"""A hostile server: every field of every answer is replaced, one at a time, by everything that JSON can hold.

Each command then ends with a code of the contract and no fault of ours, prints nothing that a terminal would obey, and
says in one screen at most why it failed. The connection is in memory; all of the client above it is the real one.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from subcli.cli import exits
from subcli.cli.commands import (
    cancel,
    doctor,
    init,
    languages,
    problems,
    rejudge,
    results,
    share,
    source,
    status,
    submit,
)
from subcli.cli.commands import list as list_command
from subcli.cli.commands import open as open_command
from subcli.cli.commands.auth import access_tokens, login
from subcli.cli.commands.auth import status as auth_status
from subcli.cli.commands.auth import token as auth_token
from subcli.cli.common import Common
from subcli.cli.watching import run
from subcli.cli.watching.options import Options
from subcli.client.api import Whose
from subcli.client.listing import ListQuery
from subcli.core.errors import SubcliError
from subcli.output.terminal.report import report
from subcli.shared.encoding import INVISIBLE
from tests.cli.streams import Captured, captured
from tests.cli.wire import SERVER, Wire, encode
from tests.sampling import every_third

HARMFUL = re.compile(f"[{INVISIBLE}]")
SAID_MAX = 5_000
"""Characters of an error and its hint."""

ESCAPES = "\x1b]0;pwned\x07\x1b[2J\u009b31m\x1b]52;c;cm0=\x07\u202e\u200b\x7f\r\n::error::x\n##[group]\t`subcli x`"
HUGE = "a\u00e9 \x1b[2J[/x]" * 3_000
RAW: dict[str, bytes] = {
    "escapes": json.dumps(ESCAPES).encode(),
    "markup": rb'"[bold red][/x][link=javascript:x]:smile: {0} %s \\ $(reboot) `reboot` \ud83d\ude00"',
    "huge": json.dumps(HUGE).encode(),
    "null": b"null",
    "negative": b"-1",
    "long": b"1" + b"0" * 400,
    "small": b"0.5",
    "list": b"[]",
    "object": b"{}",
    "mixed": b'[null, 1, "a", {"a": [1e308]}, ["\\u001b[2J"]]',
    "deep": b"[" * 400 + b"]" * 400,
    "half": rb'"\ud800"',
    "word": b"NaN",
}
"""As it stands in the answer: not all of it is what a JSON library would write."""

PROBLEM = {"id": 2, "slug": "lru", "title": "LRU", "description": "Forget.", "languages": ["python"],
    "sources": {"python": "lru.py"}, "total_tests": 3, "limits": {"memory_mb": 64}}  # fmt: skip
TEST = {"id": 1, "test_id": "1", "test_name": "One", "test_type": "functional", "status": "failed",
    "duration_ms": 5, "message": "no", "expected": 1, "actual": 2, "output": "out", "error_category": "wrong",
    "details": {"error": "no"}, "seed": 5, "has_trace": True}  # fmt: skip
TRACE = {"seed": 5, "cluster": 1, "nodes": ["n1", "n2"], "violation": "two leaders", "node": "n1", "moment_no": 2,
    "moment_ms": 3, "noticed_ms": 9, "total": 4, "first_no": 1, "digest": "d", "source": "s",
    "places": [{"file": "a.py", "line": 1, "function": "f", "text": "f()"}],
    "messages": [{"no": 2, "ms": 3, "src": "n1", "dest": "n2", "body": {"type": "x"}, "fate": "delivered",
                  "arrived_no": 4, "arrived_ms": 5, "place": 0, "broke_rule": True}],
    "marks": [{"no": 1, "ms": 0, "kind": "note", "node": "n1", "text": "leader", "groups": [["n1"]]}]}  # fmt: skip
SUMMARY = {"total_tests": 1, "passed": 0, "failed": 1, "duration_ms": 5}
SUBMISSION = {"submission_id": 12, "id": 12, "problem": "lru", "problem_id": 2, "language": "python",
    "status": "failed", "final_status": "failed", "summary": SUMMARY, "created_at": "2024-01-15T10:40:00Z",
    "finished_at": "2024-01-15T10:41:00Z", "url": f"{SERVER}/submissions/12", "build_log": "log",
    "error_message": "why", "run": 2, "runs": [
        {"run": 1, "status": "failed", "final_status": "failed", "summary": SUMMARY, "asked_at": None,
         "finished_at": "2024-01-15T10:41:00Z", "last_seq": 3, "epoch": "e"},
        {"run": 2, "status": "pending", "final_status": None, "asked_at": "2024-01-16T10:41:00Z"}]}  # fmt: skip
FEATURES = ["resume", "idempotency", "access_tokens", "roles", "links", "lists", "runs", "rejudge", "results"]
REJUDGED = {"dry_run": True, "matched": 3, "unfinished": 1, "unknown": 0, "verdicts": {"failed": 3}, "users": 2,
    "queued": 3, "repeated": 1}  # fmt: skip
RESULT = {"user": "ada", "attempts": 3, "unfinished": 1, "verdict": "failed", "status": "failed", "score": 1.5,
    "max_score": 2, "passed": 1, "total_tests": 3, "submission_id": 12, "run": 2, "language": "c",
    "submitted_at": "2024-01-15T10:40:00Z"}  # fmt: skip
ACCESS_TOKEN = {
    "id": 1,
    "name": "ci",
    "scope": "read",
    "created_at": "2026-11-28T05:00:00Z",
    "expires_at": "2027-02-26T05:00:00Z",
    "last_used_at": None,
}
ANSWERS: dict[str, Any] = {
    "GET /info": {"name": "judge", "version": "1", "demo": False, "features": FEATURES},
    "GET /problems": [PROBLEM],
    "GET /languages": {
        "languages": [
            {"name": "c", "title": "C", "endings": [".c"], "problems": 1, "available": True, "version": "cc 12.2.0"}
        ]
    },
    "GET /problems/lru": PROBLEM,
    "GET /problems/lru/template/python": {"files": {"lru.py": "x = 1"}, "submit": ["lru.py"]},
    "POST /submissions": {"submission_id": 12, "url": f"{SERVER}/submissions/12", "epoch": "e"},
    "GET /submissions": {"submissions": [SUBMISSION]},
    "GET /submissions/12/files": {"submission_id": 12, "files": {"a.py": "x"}},
    "POST /rejudges": REJUDGED,
    "GET /problems/lru/results": {"problem": "lru", "results": [RESULT]},
    "GET /submissions/12": SUBMISSION,
    "GET /submissions/12/tests": {"tests": [TEST]},
    "GET /submissions/12/tests/1/trace": TRACE,
    "POST /submissions/12/cancel": {"status": "cancelled", "final_status": "cancelled"},
    "GET /submissions/12/links": {"links": [{"id": 1, "created_at": "", "expires_at": ""}]},
    "POST /submissions/12/links": {"id": 1, "url": f"{SERVER}/submissions/12#link=x", "expires_at": "2027-02-26T05:00"},
    "DELETE /submissions/12/links": {"revoked": 2},
    "GET /auth/me": {"user": "ada", "role": "student", "credential": "read", "token_name": "ci"},
    "POST /auth/tokens": {**ACCESS_TOKEN, "token": "subcli_pat_x"},
    "GET /auth/tokens": {"tokens": [ACCESS_TOKEN]},
    "DELETE /auth/tokens/ci": ACCESS_TOKEN,
    "POST /auth/token": {"access_token": "abc", "refresh_token": "def"},
}

Command: TypeAlias = Callable[[Common, Captured], int]
Place: TypeAlias = tuple[Any, ...]
"""Keys and indexes, from the top of an answer."""


def _submit(common: Common, here: Captured) -> int:
    Path("a.py").write_text("print(1)\n")
    settings = common.settings(here.streams, problem="lru", language="python")
    job = submit.make_job(common, here.streams, Options(), ["a.py"], settings)
    return run.submit(common, here.streams, Options(), settings, job, no_watch=True)


def _submit_sql(common: Common, here: Captured) -> int:
    Path("a.sql").write_text("select 1;\n")
    settings = common.settings(here.streams, problem="lru")
    job = submit.make_job(common, here.streams, Options(), ["a.sql"], settings)
    return run.submit(common, here.streams, Options(), settings, job, no_watch=True)


COMMANDS: dict[str, Command] = {
    "list": lambda common, here: list_command.run(common, here.streams, 20),
    "list of one": lambda common, here: list_command.run(common, here.streams, 20, "lru"),
    "list of all": lambda common, here: list_command.run(common, here.streams, 20, whose=Whose()),
    "list in pages": lambda common, here: list_command.run_query(
        common, here.streams, ListQuery(300, verdict="failed")
    ),
    "source": lambda common, here: source.run(common, here.streams, 12, Path(f"code{id(here)}")),
    "rejudge": lambda common, here: rejudge.run(common, here.streams, rejudge.Chosen([12]), yes=True),
    "results": lambda common, here: results.run(common, here.streams, "lru"),
    "results as CSV": lambda common, here: results.run(common, here.streams, "lru", as_csv=not common.json),
    "status": lambda common, here: status.run(common, here.streams, 12),
    "diagram": lambda common, here: status.draw(common, here.streams, 12),
    "diagram in sentences": lambda common, here: status.draw(common, here.streams, 12, test="One", plain=True),
    "picture": lambda common, here: status.draw(common, here.streams, 12, svg=Path("failure.svg")),
    "cancel": lambda common, here: cancel.run(common, here.streams, 12),
    "open": lambda common, here: open_command.run(common, here.streams, 12),
    "problems": lambda common, here: problems.list_problems(common, here.streams),
    "problems show": lambda common, here: problems.show_problem(common, here.streams, "lru"),
    "languages": lambda common, here: languages.run(common, here.streams),
    "init": lambda common, here: init.run(common, here.streams, "lru", Path(f"made{id(here)}")),
    "submit": _submit,
    "submit of a dialect": _submit_sql,
    "doctor": lambda common, here: doctor.run(common, here.streams),
    "auth login": lambda common, here: login.login(common, here.streams, None, with_token=True, insecure_storage=True),
    "auth status": lambda common, here: auth_status.status(common, here.streams),
    "auth token": lambda common, here: auth_token.token(common, here.streams),
    "auth token create": lambda common, here: access_tokens.create(common, here.streams, "ci", 60, "read"),
    "auth token list": lambda common, here: access_tokens.list_tokens(common, here.streams),
    "auth token revoke": lambda common, here: access_tokens.revoke(common, here.streams, "ci"),
    "share": lambda common, here: share.run(common, here.streams, 12, 60),
    "share --revoke": lambda common, here: share.run_revoke(common, here.streams, 12),
}
ASKS: dict[str, list[str]] = {
    "list": ["GET /submissions"],
    "list of one": ["GET /submissions", "GET /problems"],
    "list of all": ["GET /submissions"],
    "list in pages": ["GET /submissions"],
    "source": ["GET /submissions/12/files"],
    "rejudge": ["POST /rejudges"],
    "results": ["GET /problems/lru/results"],
    "results as CSV": ["GET /problems/lru/results"],
    "status": ["GET /submissions/12", "GET /submissions/12/tests"],
    "diagram": ["GET /submissions/12/tests/1/trace"],
    "diagram in sentences": ["GET /submissions/12/tests/1/trace"],
    "picture": ["GET /submissions/12/tests/1/trace", "GET /submissions/12/tests"],
    "cancel": ["POST /submissions/12/cancel"],
    "open": ["GET /submissions/12", "GET /submissions/12/links"],
    "problems": ["GET /problems"],
    "problems show": ["GET /problems/lru"],
    "languages": ["GET /languages"],
    "init": ["GET /problems/lru", "GET /problems/lru/template/python"],
    "submit": ["GET /info", "POST /submissions"],
    "submit of a dialect": ["GET /problems/lru"],
    "doctor": ["GET /info", "GET /auth/me", "GET /submissions"],
    "auth login": ["GET /info", "GET /auth/me"],
    "auth status": ["GET /auth/me"],
    "auth token": ["GET /info"],
    "auth token create": ["GET /info", "POST /auth/tokens"],
    "auth token list": ["GET /auth/tokens"],
    "auth token revoke": ["DELETE /auth/tokens/ci"],
    "share": ["GET /info", "POST /submissions/12/links"],
    "share --revoke": ["DELETE /submissions/12/links"],
}


def fields(value: Any, path: Place = ()) -> Iterator[Place]:
    """The places of all values in an answer, itself included."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from fields(value[key], (*path, key))


def at(value: Any, path: Place) -> Any:
    """The value at a place."""
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, paths: Iterable[Place], raw: bytes) -> bytes:
    """The answer, with these bytes at some places."""
    wanted, mark = set(paths), "here \N{SNOWMAN}"

    def put(value: Any, path: Place) -> Any:
        if path in wanted:
            return mark
        if isinstance(value, dict):
            return {key: put(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [put(each, (*path, number)) for number, each in enumerate(value)]
        return value

    return encode(put(value, ())).replace(encode(mark), raw)


def outcome(command: Command, common: Common, here: Captured) -> int:
    """Run it and report its error as `main` does; the exit code."""
    try:
        return command(common, here)
    except SubcliError as error:
        report(error, here.err, {})
        return exits.of_error(error)


def check(name: str, answers: Mapping[str, bytes], home: Path, *, as_json: bool = False, code: int = 200) -> None:
    """A command against these answers, in place of good ones, ends well and prints nothing that a terminal obeys."""
    good = {call: (200, encode(body)) for call, body in ANSWERS.items()}
    Wire.answers = {**good, **{call: (code, body) for call, body in answers.items()}}
    common = Common(server=SERVER, json=as_json)
    here = captured(home, "token" if name == "auth login" else "", SUBCLI_TOKEN="abcdef")
    ended = outcome(COMMANDS[name], common, here)
    assert ended in exits.REQUESTING
    assert ended != exits.INTERNAL
    assert not HARMFUL.search(here.out.getvalue()), "stdout"
    assert not HARMFUL.search(here.err.getvalue()), "stderr"
    assert len(here.err.getvalue()) < SAID_MAX
    if as_json and not ended:
        assert isinstance(here.json, dict)


class Faults(list[str]):
    """What went wrong, so that one run shows all of it."""

    @contextlib.contextmanager
    def noted(self, *where: object) -> Iterator[None]:
        """In this context an exception is noted instead of raised."""
        try:
            yield
        except Exception as error:
            self.append(f"{' '.join(map(str, where))}: {type(error).__name__}: {str(error)[:200]}")


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("wire")
def test_every_field_at_once(name: str, home: Path) -> None:
    """An answer is one such value as a whole, or has it in place of everything."""
    faults = Faults()
    for call in ASKS[name]:
        leaves = [path for path in fields(ANSWERS[call]) if not isinstance(at(ANSWERS[call], path), dict | list)]
        for what, raw in RAW.items():
            everywhere = replaced(ANSWERS[call], leaves, raw)
            with faults.noted(call, what):
                check(name, {call: raw}, home)
                check(name, {call: everywhere}, home)
                check(name, {call: everywhere}, home, as_json=True)
    assert not faults, "\n".join(faults)


@pytest.mark.thorough
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("wire")
def test_every_field(name: str, home: Path) -> None:
    """One field after the other gets what is no text: what is wrong with the first does not hide the next."""
    faults = Faults()
    odd = [what for what, raw in RAW.items() if not raw.startswith(b'"')]
    every = [(call, path, what) for call in ASKS[name] for path in fields(ANSWERS[call]) for what in odd]
    for call, path, what in every_third(every):
        with faults.noted(call, path, what):
            check(name, {call: replaced(ANSWERS[call], [path], RAW[what])}, home)
    assert not faults, "\n".join(faults)


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("code", [400, 401, 404, 422, 429, 503])
@pytest.mark.usefixtures("wire")
def test_every_refusal(code: int, home: Path) -> None:
    """The reason of a refusal, and how long to wait, can be anything as well."""
    faults = Faults()
    for what, raw in RAW.items():
        for name, shape in (
            ("auth status", b"%b"),
            ("list", b'{"detail": %b, "retry_after": %b}'),
            ("submit", b'{"detail": [{"loc": %b, "msg": %b}]}'),
        ):
            with faults.noted(name, what):
                check(name, {ASKS[name][-1]: shape.replace(b"%b", raw)}, home, code=code)
    assert not faults, "\n".join(faults)


@pytest.mark.thorough
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("wire")
def test_ten_megabytes(name: str, home: Path) -> None:
    """Shared among the texts of an answer. What is printed of them is cut, or is what was asked for, such as a log."""
    for call in ASKS[name]:
        texts = [path for path in fields(ANSWERS[call]) if isinstance(at(ANSWERS[call], path), str)]
        if texts:
            ten = encode("a \u00e9" * (2_500_000 // len(texts)))
            check(name, {call: replaced(ANSWERS[call], texts, ten)}, home)
