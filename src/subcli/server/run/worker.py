"""A process that only judges: without port or signing key, and as many as there are machines."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from sqlalchemy import Engine

from subcli.server.jobs.judging import Judge
from subcli.server.jobs.versions import Versions
from subcli.server.jobs.workers import Workers
from subcli.server.log.database import open_database
from subcli.server.log.sharing import using
from subcli.server.observe.metrics import Metrics
from subcli.server.parts import Backbone
from subcli.server.redis.connection import connect, shown
from subcli.server.run.shutdown import Signals
from subcli.server.run.startup import (
    copied_problems,
    make_data_dir,
    prepare_judge,
    raise_descriptor_limit,
    serve_metrics,
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
        if settings.data_dir is not None:
            make_data_dir(settings.data_dir)
        shelf = stack.enter_context(copied_problems(settings.problems_dir, settings.data_dir, settings.languages))
        redis = connect(settings.redis)
        engine = open_database(settings.database)
        stack.callback(engine.dispose)
        stack.enter_context(using(engine, joined=True))
        # A server with several processes always judges other people's code.
        service, sandbox = prepare_judge(settings, shelf.judgeable, judge, for_others=True, data_dir=shelf.path)
        metrics = Metrics()
        if settings.metrics_address is not None:
            stack.callback(serve_metrics(metrics, *settings.metrics_address))
        started = partial(on_ready, _ready(settings, engine, sandbox))
        backbone = Backbone(engine, settings.limits, redis)
        store, limits = backbone.store, settings.limits
        versions = Versions(shelf, store, limits.problem_mb, limits.problem_cache_mb)
        between = (store, backbone.journal, backbone.queue)
        workers = Workers(*between, shelf.judgeable, service, limits, metrics, versions, for_others=True)
        asyncio.run(_work(backbone, workers, limits.deadline_s, started))


async def _work(backbone: Backbone, workers: Workers, deadline: float, on_started: Callable[[], None]) -> None:
    failures: list[BaseException] = []
    with _stop_on_signals(deadline) as (stopping, signals):

        def fail(error: BaseException) -> None:
            # What fails while the process is ending is logged, and changes nothing.
            if not stopping.is_set():
                failures.append(error)
                signals.begin(signal.SIGTERM)

        async with backbone.running(workers.run(), on_failure=fail):
            on_started()
            await stopping.wait()
    if failures:
        raise failures[0]


@contextmanager
def _stop_on_signals(deadline: float) -> Iterator[tuple[asyncio.Event, Signals]]:
    """An event that the first signal sets. A second signal or the deadline ends the process."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    signals = Signals(stopping.set, deadline)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.handle, number)
    try:
        yield stopping, signals
    finally:
        signals.cancel()


def _ready(settings: WorkerSettings, engine: Engine, sandbox: tuple[str, ...]) -> WorkerReady:
    return WorkerReady(
        database=engine.url.render_as_string(hide_password=True),
        redis=shown(settings.redis),
        concurrency=settings.concurrency,
        sandbox=sandbox,
    )
