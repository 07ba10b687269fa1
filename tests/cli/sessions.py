"""Sessions without a server: what they yield is written down, and they wait where a gate says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

from subcli.client.session import Session
from subcli.core.submission import Connection
from subcli.core.watch import Watch
from subcli.output.view import ViewEvent


class ScriptedSession:
    """Yields what it was given, in order.

    Args:
        submission_id: of the submission that is watched.
        script: verdicts (``passed``, ``failed``, …), events, or gates to wait at.
    """

    def __init__(self, submission_id: int, *script: str | ViewEvent | asyncio.Event) -> None:
        self.watch = Watch(submission_id)
        self._script = script

    async def batches(self) -> AsyncGenerator[Sequence[ViewEvent], None]:
        """What was written down."""
        for step in self._script:
            if isinstance(step, asyncio.Event):
                await step.wait()
            elif isinstance(step, str):
                yield self.watch.receive(complete(self.watch.submission_id, step)).events
            else:
                yield (step,)


def complete(submission_id: int, final_status: str) -> str:
    """The message with a verdict."""
    summary: dict[str, Any] = {"total_tests": 1, "passed": 1, "failed": 0}
    return json.dumps(
        {"type": "complete", "submission_id": submission_id, "final_status": final_status, "summary": summary}
    )


def scripted(submission_id: int, *script: str | ViewEvent | asyncio.Event) -> Session:
    """A session that yields what it was given (:class:`ScriptedSession`)."""
    return cast("Session", ScriptedSession(submission_id, *script))


def polling(reason: str) -> Connection:
    """The news that the socket was given up."""
    return Connection("polling", reason=reason)
