"""Judging on this machine: the judge's events instead of a server's, for the same loop and the same views."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from subcli.client.session import Shown
from subcli.core.replay import Replayed, compare
from subcli.core.submission import LOCAL_ID, Connection
from subcli.core.watch import Watch
from subcli.shared.encoding import encode_any, timestamp
from subcli.shared.protocol import OUTPUT, TERMINAL_STATUSES
from subcli.shared.run_trace import RunTrace, decode_trace, unpack

if TYPE_CHECKING:
    from subcli.judge.events import Event
    from subcli.judge.job import Job
    from subcli.judge.process.starter import Starter

_OUTPUT_BYTES: Final = 10_000_000
_OUTPUT_PER_S: Final = 1_000_000
NOTHING: Final[Mapping[str, RunTrace]] = MappingProxyType({})
_FOR_ITS_CALLER = ("time_out", "shortage")
"""Fields of the verdict that are for the judge's caller, and that no server sends."""


class LocalSession:
    """A submission that is judged here, followed to its verdict (:class:`subcli.cli.watching.loop.Session`).

    Attributes:
        watch: its state.
        faults: what is wrong with the judge or the problem, in full, for the user of this machine.
        traces: how tests have failed here, by their ids, if the job asks for that.
        names: the names of the tests that have ended, by their ids.
        replayed: what the replay of each recorded failure has shown.

    Args:
        job: what to judge.
        starter: what the solution's processes run under.
        recorded: if failures are replayed: how they happened on the server, by the ids of their tests. After the result
            of each of these tests an event of the type `replay` compares the two.
    """

    def __init__(self, job: Job, starter: Starter, recorded: Mapping[str, RunTrace] = NOTHING) -> None:
        self.watch = Watch(LOCAL_ID, problem=job.problem.slug, language=job.language)
        self.faults: list[str] = []
        self.replayed: dict[str, Replayed] = {}
        self._recorded = recorded
        self.traces: dict[str, RunTrace] = {}
        self.names: dict[str, str] = {}
        self._job = job
        self._starter = starter
        self._tells_output = False
        self._seq = 0
        self._pieces = 0
        self._is_contended = False

    def ask_for_output(self) -> None:
        """Tell what the build and the tests print as well. Must be called before judging begins."""
        self._tells_output = True

    async def batches(self) -> AsyncGenerator[Sequence[Shown], None]:
        """Judge, and yield each event when it happens. Closing the iterator kills every process of the submission.

        As on a server, a time-out on a busy machine is not a verdict: the submission is judged again, once.
        """
        from subcli.judge.events import CONTENDED

        self.watch.connection = Connection("open")
        async with contextlib.aclosing(self._attempt(1)) as shown:
            async for events in shown:
                yield events
        if self.watch.verdict is None and self._is_contended:
            again: Event = {"type": "status_update", "status": "pending", "detail": CONTENDED}
            yield self._told(again, 2)
            async with contextlib.aclosing(self._attempt(2)) as shown:
                async for events in shown:
                    yield events

    async def _attempt(self, attempt: int) -> AsyncGenerator[Sequence[Shown], None]:
        """Judge once. The final event is left out if the first attempt does not count."""
        from subcli.judge.events import RUN_TRACE, packed_of
        from subcli.judge.job import OutputLimits
        from subcli.judge.supervise.engine import judge

        output = OutputLimits(_OUTPUT_BYTES, _OUTPUT_PER_S) if self._tells_output else None
        job = replace(self._job, attempt=attempt, alone=attempt > 1, output=output)
        judging = judge(job, starter=self._starter, on_fault=self.faults.append)
        ending: list[Event] = []
        async with contextlib.aclosing(judging) as events:
            async for event in events:
                if event["type"] == "status_update" and event["status"] in TERMINAL_STATUSES:
                    # It belongs to the verdict, which may not count.
                    ending.append(event)
                    continue
                if event["type"] == "complete":
                    is_failed = event["final_status"] not in ("passed", "error")
                    self._is_contended = event.get("time_out") == "contended" and is_failed
                    if self._is_contended and attempt == 1:
                        return
                if event["type"] == RUN_TRACE:
                    self.traces[str(event["test_id"])] = decode_trace(unpack(packed_of(event)))
                    continue
                for each in (*ending, event, *self._compared(event)):
                    yield self._told(each, attempt)
                ending.clear()

    def _compared(self, event: Event) -> list[Event]:
        """What is to be told after a result: how it compares with what the server has recorded."""
        test_id = str(event.get("test_id"))
        if event["type"] == "test_result":
            self.names[test_id] = str(event["test_name"])
        recorded = self._recorded.get(test_id) if event["type"] == "test_result" else None
        if recorded is None:
            return []
        here = self.traces.get(test_id)
        found = compare(test_id, str(event["test_name"]), recorded, here, str(event["status"]))
        self.replayed[test_id] = found
        return [found.event()]

    def _told(self, event: Event, attempt: int) -> Sequence[Shown]:
        """The events that the watch returns for an event of the judge."""
        if event["type"] == OUTPUT:
            self._pieces += 1
            place: Event = {"output_seq": self._pieces, "after_seq": self._seq}
        else:
            self._seq += 1
            place = {"seq": self._seq}
        told = {key: value for key, value in event.items() if key not in _FOR_ITS_CALLER}
        stamps: Event = {"submission_id": LOCAL_ID, **place, "timestamp": timestamp(time.time())}
        if event["type"] == "status_update":
            stamps["attempt"] = attempt
        # As text, like a server's event: invalid events must be noticed here as well.
        return self.watch.receive(encode_any({**told, **stamps})).events
