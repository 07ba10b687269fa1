"""A server, ready to be used: settings put together with an HTTP client, the REST half and sessions.

Also the library: :func:`submit` and :func:`follow` are what ``from subcli import …`` gives.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from subcli.api import Api
from subcli.auth import Authenticator, GivenToken
from subcli.config import Settings, load
from subcli.errors import NotFoundError, ServerError
from subcli.network import is_loopback
from subcli.protocol import Message
from subcli.session import Session
from subcli.source import Source, read_source
from subcli.submission import Connection
from subcli.transport import Socket, open_socket
from subcli.watch import Watch

HTTP_TIMEOUT_S: Final = 10.0
USER_AGENT: Final = "subcli"


class Client:
    """One server. Made by :func:`connect`."""

    def __init__(
        self,
        settings: Settings,
        http: httpx.AsyncClient,
        authenticator: Authenticator,
        ssl_context: ssl.SSLContext | None,
        *,
        max_attempts: int,
    ) -> None:
        self.settings = settings
        self.api = Api(http, settings.api_url, authenticator, max_attempts=max_attempts)
        self._authenticator = authenticator
        self._ssl_context = ssl_context
        self._max_attempts = max_attempts

    async def submit(self, source: Source, *, problem: str, language: str) -> dict[str, Any]:
        """Hand code in, and give back the server's answer with ``submission_id`` as a number in it.

        Args:
            source: the code.
            problem: id or slug; a slug is looked up where the server wants an id.
            language: as the server names it.

        Raises:
            SubcliError: it was refused, or nobody answered.
        """
        key = str(uuid.uuid4())
        body = {"problem": problem, "language": language, **source.body()}
        if problem.isdecimal():
            body["problem_id"] = int(body.pop("problem"))
        elif not (await self._knows_slugs()):
            body["problem_id"] = await self._problem_id(str(body.pop("problem")))
        answer = await self.api.submit(body, key=key)
        submission_id = _id_of(answer)
        if submission_id is None:
            raise ServerError("The server took the code but gave no submission id.", hint="Look with `subcli list`.")
        return {"url": self.settings.page_url(submission_id), **answer, "submission_id": submission_id}

    async def latest(self) -> int:
        """The id of the user's latest submission.

        Raises:
            NotFoundError: there is none.
        """
        for entry in await self.api.submissions(limit=1):
            found = _id_of(entry) if isinstance(entry, dict) else None
            if found is not None:
                return found
        raise NotFoundError("You have not submitted anything yet.", hint="`subcli submit FILE --problem SLUG`")

    def session(self, watch: Watch, *, own_submit: bool = False, describe: bool = False) -> Session:
        """The session that follows ``watch``'s submission."""
        return Session(
            watch,
            self.api,
            self._dial,
            self._authenticator,
            max_attempts=self._max_attempts,
            own_submit=own_submit,
            describe=describe,
        )

    async def _dial(self, submission_id: int, after_seq: int) -> Socket:
        url = f"{self.settings.ws_url}/submissions/{submission_id}"
        if after_seq:
            url += f"?after_seq={after_seq}"
        return await open_socket(url, token=self._authenticator.token(), ssl_context=self._ssl_context)

    async def _knows_slugs(self) -> bool:
        """A server with ``/info`` takes a slug; the other platform wants ``problem_id``."""
        return bool((await self.api.insist_info()).features)

    async def _problem_id(self, slug: str) -> int:
        problems = [entry for entry in await self.api.problems() if isinstance(entry, dict)]
        for entry in problems:
            if slug in (entry.get("slug"), slugify(str(entry.get("title", "")))) and isinstance(entry.get("id"), int):
                return int(entry["id"])
        known = ", ".join(str(entry.get("slug") or slugify(str(entry.get("title", "")))) for entry in problems)
        raise NotFoundError(f"There is no problem {slug!r}.", hint=f"Known: {known}." if known else "")


def _id_of(answer: Mapping[str, Any]) -> int | None:
    """The submission's number, by whichever name and type the server gives it."""
    value = answer.get("submission_id", answer.get("id"))
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def slugify(title: str) -> str:
    """A title as a slug: ``Leader Election`` → ``leader-election``."""
    words = "".join(char.lower() if char.isalnum() else " " for char in title).split()
    return "-".join(words)


@contextlib.asynccontextmanager
async def connect(
    settings: Settings, *, authenticator: Authenticator | None = None, max_attempts: int = 5
) -> AsyncIterator[Client]:
    """A client of the server that ``settings`` name.

    Args:
        settings: see :func:`subcli.config.load`.
        authenticator: who is asking; default: the token of the settings.
        max_attempts: reconnects in a row without a new event, and repeats of a request.
    """
    parts = urlsplit(settings.server)
    # Loading the certificate authorities takes longer than a whole submit on loopback: only for https.
    context = ssl.create_default_context() if parts.scheme == "https" else None
    async with httpx.AsyncClient(
        verify=context or False,
        timeout=HTTP_TIMEOUT_S,
        follow_redirects=False,
        trust_env=not is_loopback(parts.hostname),
        headers={"User-Agent": USER_AGENT},
    ) as http:
        yield Client(
            settings,
            http,
            authenticator or GivenToken(settings.token, settings.token_origin),
            context,
            max_attempts=max_attempts,
        )


def _library_settings(server: str | None, token: str | None, env: Mapping[str, str]) -> Settings:
    variables = dict(env)
    if token is not None:
        variables["SUBCLI_TOKEN"] = token
    return load({"server": server}, variables, Path.cwd(), None)


async def submit(
    path: str | Path,
    *,
    problem: str,
    language: str | None = None,
    server: str | None = None,
    token: str | None = None,
) -> int:
    """Hand in a file or a directory and give back the submission's id.

    Args:
        path: of the code.
        problem: id or slug.
        language: default: from the file's ending.
        server: URL; default: ``SUBCLI_SERVER`` and the other settings.
        token: default: ``SUBCLI_TOKEN``.

    Raises:
        SubcliError: it was refused, or nobody answered.
    """
    source = read_source([str(path)])
    async with connect(_library_settings(server, token, os.environ)) as client:
        answer = await client.submit(source, problem=problem, language=language or source.language())
    return int(answer["submission_id"])


async def follow(
    submission_id: int,
    *,
    after_seq: int = 0,
    server: str | None = None,
    token: str | None = None,
) -> AsyncIterator[Message]:
    """The events of a submission, each once and in order, until its verdict: the last one is ``complete``.

    Reconnects and resumes by itself (specification, "Reconnection Strategy").

    Args:
        submission_id: of the submission.
        after_seq: begin after this event.
        server: URL; default: ``SUBCLI_SERVER`` and the other settings.
        token: default: ``SUBCLI_TOKEN``.

    Raises:
        SubcliError: no verdict can be had.
    """
    async with connect(_library_settings(server, token, os.environ)) as client:
        session = client.session(Watch(submission_id, after_seq=after_seq))
        async with contextlib.aclosing(session.events()) as events:
            async for event in events:
                if not isinstance(event, Connection):
                    yield event
