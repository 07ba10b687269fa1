"""One server, ready to use: what is submitted under which name, and hints for names that do not exist."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from subcli.client.auth import GivenToken
from subcli.client.client import Client, slugify
from subcli.client.connection import connect
from subcli.client.network import error_detail
from subcli.client.records import Credentials, Tokens
from subcli.core.errors import NotFoundError, ServerError
from subcli.settings.config import load
from subcli.settings.files import user_directory
from subcli.shared.secret import Secret
from subcli.workspace.source import read_source
from tests.cli.rest import rest

SERVER = "https://judge.example"
PROBLEMS = [
    {"id": 3, "title": "Leader Election", "languages": ["python", "c"]},
    {"id": 4, "slug": "kv-store", "title": "A store"},
]


def client(handler: Callable[[httpx.Request], httpx.Response | None], features: tuple[str, ...] = ()) -> Client:
    """A client of a server that has ``PROBLEMS``, and otherwise does what ``handler`` says, or 404."""

    def handle(request: httpx.Request) -> httpx.Response:
        answer = handler(request)
        if answer is not None:
            return answer
        if request.url.path == "/api/info":
            return httpx.Response(200, json={"features": list(features)})
        if request.url.path == "/api/problems":
            return httpx.Response(200, json={"problems": PROBLEMS})
        return httpx.Response(404, json={"detail": "No such thing"})

    settings = load({"server": SERVER}, {}, Path("/"), None)
    http = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    return Client(settings, http, GivenToken(Secret("x")), max_attempts=1)


async def submitted(problem: str, tmp_path: Path, features: tuple[str, ...] = (), **answer: Any) -> tuple[Any, Any]:
    """The body that a submission sends, and the answer that comes back."""
    bodies: list[Any] = []
    (tmp_path / "node.py").write_text("print(1)")

    def handler(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST":
            return None
        bodies.append(json.loads(request.content))
        return httpx.Response(201, json=answer)

    source = read_source([str(tmp_path / "node.py")])
    result = await client(handler, features).submit(source, problem=problem, language="python")
    return bodies[0], result


@pytest.mark.parametrize(
    ("problem", "features", "sent"),
    [
        ("17", (), {"problem_id": 17}),
        ("17", ("resume",), {"problem_id": 17}),
        ("leader-election", ("resume",), {"problem": "leader-election"}),
        ("leader-election", (), {"problem_id": 3}),
        ("kv-store", (), {"problem_id": 4}),
    ],
)
async def test_problem_is_sent_as_the_server_wants_it(
    problem: str, features: tuple[str, ...], sent: dict[str, Any], tmp_path: Path
) -> None:
    """By slug where the server has features; else by the id that the slug, or the title made into one, has."""
    body, _ = await submitted(problem, tmp_path, features, id=1)
    assert {name: value for name, value in body.items() if name.startswith("problem")} == sent
    assert (body["language"], body["source_code"]) == ("python", "print(1)")


@pytest.mark.parametrize(
    ("answer", "url"),
    [
        ({"id": "12"}, f"{SERVER}/submissions/12"),
        ({"submission_id": 12, "id": 99, "url": "http://elsewhere.example/12"}, "http://elsewhere.example/12"),
        ({"id": 12, "url": "javascript:alert(1)"}, f"{SERVER}/submissions/12"),
        ({"id": 12, "url": "https://x.example/ y"}, f"{SERVER}/submissions/12"),
    ],
)
async def test_answer_has_id_and_page(answer: dict[str, Any], url: str, tmp_path: Path) -> None:
    """Under our names, whatever the server calls them; a page only if it is a web address."""
    _, result = await submitted("17", tmp_path, **answer)
    assert (result["submission_id"], result["url"]) == (12, url)


async def test_answer_without_an_id_is_an_error(tmp_path: Path) -> None:
    """The code may be there all the same."""
    with pytest.raises(ServerError) as caught:
        await submitted("17", tmp_path, id=True)
    assert "subcli list" in caught.value.hint


async def test_unknown_names_get_a_hint() -> None:
    """The name that was probably meant, or the languages that there are."""
    server = client(lambda request: None)
    with pytest.raises(NotFoundError) as caught:
        await server.problem("leader-elction")
    assert "leader-election" in caught.value.hint
    with pytest.raises(NotFoundError) as caught:
        await server.template("leader-election", "rust")
    assert "python, c" in caught.value.hint
    with pytest.raises(NotFoundError) as caught:
        await server.submissions(limit=3, problem="kv-stor")
    assert "kv-store" in caught.value.hint
    with pytest.raises(NotFoundError) as caught:
        await server.submissions(limit=3, problem="zzzzzz")
    assert "subcli problems" in caught.value.hint


async def test_rows_without_an_id_are_dropped() -> None:
    """And there are no more rows than asked for, whatever the server sends."""
    entries: list[Any] = [{"no": "id"}, "odd", {"id": 5}, {"submission_id": 4}, {"id": 3}]
    server = client(lambda request: httpx.Response(200, json=entries) if "submissions" in request.url.path else None)
    rows = await server.submissions(limit=2)
    assert [(row.submission_id, row.url) for row in rows] == [
        (5, f"{SERVER}/submissions/5"),
        (4, f"{SERVER}/submissions/4"),
    ]


async def test_latest_submission() -> None:
    """Its id; without one, the command to start with."""
    server = client(lambda request: httpx.Response(200, json=[{"id": 5}]) if "subm" in request.url.path else None)
    assert await server.latest() == 5
    empty = client(lambda request: httpx.Response(200, json=[]) if "submissions" in request.url.path else None)
    with pytest.raises(NotFoundError) as caught:
        await empty.latest()
    assert "subcli submit" in caught.value.hint


@pytest.mark.parametrize(
    ("title", "slug"), [("Leader Election", "leader-election"), (" a  B/c! ", "a-b-c"), ("Ünï 7", "ünï-7"), ("", "")]
)
def test_slugify(title: str, slug: str) -> None:
    """Lower case words with hyphens."""
    assert slugify(title) == slug


# -- a login at a prompt ------------------------------------------------------------------------------


class Person:
    """Knows the password."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def ask(self, server: str) -> tuple[str, Secret] | None:
        return "ada", Secret("password")

    def refused(self, reason: str) -> None:
        raise AssertionError(reason)

    def tell(self, text: str) -> None:
        self.told.append(text)


@pytest.mark.parametrize("recorded", [False, True])
async def test_login_at_a_prompt_says_that_it_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    """Without a record, or where its store can no longer be written, the command goes on; the words name the ways."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    person = Person()
    answers = {
        "POST /auth/token": (200, {"access_token": "new", "refresh_token": "next"}),
        "GET /submissions": (200, {"submissions": []}),
    }
    with rest(answers, token="new") as server:
        if recorded:
            Credentials(user_directory()).save(server.url, "ada", Tokens(Secret("old")), "file")

            def refuse(*_: object, **__: object) -> None:
                raise PermissionError(13, "Permission denied")

            monkeypatch.setattr("subcli.client.records.write_atomically", refuse)
        settings = load({"server": server.url}, {}, Path("/"), None)
        async with connect(settings, prompter=person) as asking:
            assert await asking.submissions(limit=1) == []
    (told,) = person.told
    assert told.startswith(f"{user_directory()} cannot be written: Permission denied. " if recorded else "This login")
    assert f"`subcli auth login --server {server.url}`" in told
    assert "`--insecure-storage`" in told


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ([{"loc": ["body", "problem_id"], "msg": "Field required"}], "problem_id: Field required"),
        ([{"loc": ["body", "files", 0, "name"], "msg": "too long"}], "files.0.name: too long"),
        ([{"loc": ["body"], "msg": "bad"}, {"msg": "worse"}, "x", {"loc": ["query", "limit"]}], "bad; worse"),
        ([{"loc": "body", "msg": "bad"}], "bad"),
    ],
)
def test_refusal_names_the_field(detail: Any, said: str) -> None:
    """FastAPI's 422 says in `loc` what its message is about."""
    assert error_detail({"detail": detail}) == said
