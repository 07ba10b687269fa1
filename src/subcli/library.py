"""The library: ``from subcli import follow, submit``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from subcli.client.connection import connect
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.settings.config import DEFAULT_SERVER, Settings, load
from subcli.shared.messages import Message
from subcli.workspace.source import read_source


def _library_settings(server: str | None, token: str | None, env: Mapping[str, str]) -> Settings:
    variables = dict(env)
    if token is not None:
        variables["SUBCLI_TOKEN"] = token
        # A token without a server is meant for the default server.
        server = server or variables.get("SUBCLI_SERVER") or DEFAULT_SERVER
    return load({"server": server}, variables, Path.cwd(), None)


async def submit(
    path: str | Path,
    *,
    problem: str,
    language: str | None = None,
    server: str | None = None,
    token: str | None = None,
    follow_links: bool = False,
) -> int:
    """Submit a file or a directory and return the id of the submission.

    Args:
        path: the code.
        problem: id or slug.
        language: defaults to the one for the file's extension.
        server: URL; defaults to ``SUBCLI_SERVER`` and the other settings.
        token: defaults to ``SUBCLI_TOKEN``.
        follow_links: follow links that lead outside the working tree.

    Raises:
        SubcliError: it was refused, or the server did not answer.
    """
    source = read_source([str(path)], follow_links=follow_links)
    language = language or source.language()
    if language is None:
        raise source.unknown_language()
    async with connect(_library_settings(server, token, os.environ)) as client:
        answer = await client.submit(source, problem=problem, language=language)
    return int(answer["submission_id"])


async def follow(
    submission_id: int,
    *,
    after_seq: int = 0,
    epoch: str | None = None,
    server: str | None = None,
    token: str | None = None,
) -> AsyncIterator[Message]:
    """Yield the events of a submission, each once and in order; the last one is ``complete``, the verdict.

    Reconnects and resumes automatically (specification, "Reconnection Strategy").

    Args:
        submission_id: the submission to follow.
        after_seq: start after this event.
        epoch: the name of its log, from the event with ``seq`` 1; another log causes an error.
        server: URL; defaults to ``SUBCLI_SERVER`` and the other settings.
        token: defaults to ``SUBCLI_TOKEN``.

    Raises:
        SubcliError: no verdict can be had.
    """
    async with connect(_library_settings(server, token, os.environ)) as client:
        session = client.session(Watch(submission_id, after_seq=after_seq, epoch=epoch))
        async with contextlib.aclosing(session.events()) as events:
            async for event in events:
                if not isinstance(event, Connection):
                    yield event
