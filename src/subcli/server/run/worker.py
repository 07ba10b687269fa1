"""A process that judges and does nothing else: no port, no signing key, as many of them as there are machines."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import ExitStack

from sqlalchemy import Engine

from subcli.server.jobs.judging import Judge
from subcli.server.jobs.sandboxing import sandboxed_judge
from subcli.server.jobs.workers import Workers
from subcli.server.log.database import open_database
from subcli.server.observe.metrics import Metrics
from subcli.server.parts import Backbone
from subcli.server.redis.connection import connect, shown
from subcli.server.run.shutdown import Signals
from subcli.server.run.startup import find_problems, show_metrics
from subcli.server.settings import WorkerReady, WorkerSettings


def run_worker(
    settings: WorkerSettings, *, on_ready: Callable[[WorkerReady], None], judge: Judge | None = None
) -> None:
    """Judge until SIGINT or SIGTERM, then give back what is not finished and return.

    Args:
        on_ready: called once, when it judges.
        judge: another one is for tests; by default the real one, in the sandbox that the settings ask for.

    Raises:
        ServeError: it cannot start.
    """
    with ExitStack() as stack:
        problems = find_problems(settings.problems_dir)
        redis = connect(settings.redis)
        engine = open_database(settings.database)
        sandbox: tuple[str, ...] = ()
        if judge is None:
            # Several servers on one database are there for others.
            judge, choice = sandboxed_judge(
                settings.sandbox,
                for_others=True,
                concurrency=settings.concurrency,
                data_dir=None,
                problems_dir=settings.problems_dir,
            )
            sandbox = tuple(finding.text for finding in choice.findings)
        judging = judge
        metrics = Metrics()
        if settings.metrics_address is not None:
            stack.callback(show_metrics(metrics, *settings.metrics_address))
        limits = settings.limits

        async def work() -> None:
            backbone = Backbone(engine, limits, redis)
            metrics.ask(
                "subcli_queue_length", "Submissions that wait for a worker.", backbone.store.leases.queue_length
            )
            workers = Workers(
                backbone.store,
                backbone.journal,
                backbone.queue,
                problems,
                judging,
                settings.concurrency,
                limits,
                metrics.judged,
            )
            stopping = _stop_on_signals(stack, limits.deadline)
            async with backbone.running(workers.run()):
                on_ready(_ready(settings, engine, sandbox))
                await stopping.wait()

        asyncio.run(work())


def _stop_on_signals(stack: ExitStack, deadline: float) -> asyncio.Event:
    """Set by the first signal; the second, or the deadline, ends the process."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    signals = Signals(stopping.set, deadline)
    stack.callback(signals.cancel)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.handle, number)
    return stopping


def _ready(settings: WorkerSettings, engine: Engine, sandbox: tuple[str, ...]) -> WorkerReady:
    return WorkerReady(
        database=engine.url.render_as_string(hide_password=True),
        redis=shown(settings.redis),
        concurrency=settings.concurrency,
        sandbox=sandbox,
    )
