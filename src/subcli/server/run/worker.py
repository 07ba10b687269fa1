"""A process that only judges: without port or signing key, and as many as there are machines."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

from sqlalchemy import Engine

from subcli.judge import Problem
from subcli.server.jobs.ability import Ability, try_out
from subcli.server.jobs.judging import Judge
from subcli.server.jobs.sandboxing import sandboxed_judge
from subcli.server.jobs.service import IN_SERVICE, service_of
from subcli.server.jobs.workers import Workers
from subcli.server.log.database import open_database
from subcli.server.log.sharing import using
from subcli.server.observe.metrics import Metrics
from subcli.server.parts import Backbone
from subcli.server.redis.connection import connect, shown
from subcli.server.run.shutdown import Signals
from subcli.server.run.startup import (
    clear_temporary_directory,
    load_all_problems,
    raise_descriptor_limit,
    serve_metrics,
    warn_of_concurrency,
)
from subcli.server.settings import WorkerReady, WorkerSettings


def run_worker(
    settings: WorkerSettings, *, on_ready: Callable[[WorkerReady], None], judge: Judge | None = None
) -> None:
    """Judge until SIGINT or SIGTERM, then hand unfinished jobs back and return.

    Args:
        settings: how the worker runs.
        on_ready: called once, when the worker is judging.
        judge: tests pass their own; by default the real one, in the sandbox that the settings ask for.

    Raises:
        ServeError: the worker cannot start.
    """
    raise_descriptor_limit()
    with ExitStack() as stack:
        problems = load_all_problems(settings.problems_dir)
        redis = connect(settings.redis)
        engine = open_database(settings.database)
        stack.callback(engine.dispose)
        stack.enter_context(using(engine, joined=True))
        sandbox: tuple[str, ...] = ()
        if judge is None:
            clear_temporary_directory()
            warn_of_concurrency(settings.concurrency)
            judge, sandbox = _sandboxed_judge(settings)
            ability = Ability(problems, partial(try_out, judge))
        else:
            ability = Ability(problems)
        metrics = Metrics()
        if settings.metrics_address is not None:
            stack.callback(serve_metrics(metrics, *settings.metrics_address))
        started = partial(on_ready, _ready(settings, engine, sandbox))
        asyncio.run(
            _work(settings, Backbone(engine, settings.limits, redis), problems, judge, ability, metrics, started)
        )


async def _work(
    settings: WorkerSettings,
    backbone: Backbone,
    problems: Mapping[str, Problem],
    judge: Judge,
    ability: Ability,
    metrics: Metrics,
    on_started: Callable[[], None],
) -> None:
    limits = settings.limits
    store, journal, queue = backbone.store, backbone.journal, backbone.queue
    metrics.add_gauge("subcli_queue_length", "Submissions waiting for a worker.", store.leases.queue_length)
    service = service_of(judge, ability, limits)
    metrics.add_gauge(*IN_SERVICE, lambda: 0 if service.reason else settings.concurrency)
    workers = Workers(store, journal, queue, problems, judge, settings.concurrency, limits, metrics, service)
    with _stop_on_signals(limits.deadline) as stopping:
        async with backbone.running(workers.run()):
            on_started()
            await stopping.wait()


def _sandboxed_judge(settings: WorkerSettings) -> tuple[Judge, tuple[str, ...]]:
    judge, choice = sandboxed_judge(
        settings.sandbox,
        # A server with several processes always judges other people's code.
        for_others=True,
        concurrency=settings.concurrency,
        data_dir=None,
        problems_dir=settings.problems_dir,
        readable=settings.sandbox_read,
    )
    return judge, tuple(finding.text for finding in choice.findings)


@contextmanager
def _stop_on_signals(deadline: float) -> Iterator[asyncio.Event]:
    """An event that the first signal sets. A second signal or the deadline ends the process."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    signals = Signals(stopping.set, deadline)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.handle, number)
    try:
        yield stopping
    finally:
        signals.cancel()


def _ready(settings: WorkerSettings, engine: Engine, sandbox: tuple[str, ...]) -> WorkerReady:
    return WorkerReady(
        database=engine.url.render_as_string(hide_password=True),
        redis=shown(settings.redis),
        concurrency=settings.concurrency,
        sandbox=sandbox,
    )
