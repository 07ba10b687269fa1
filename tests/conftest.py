"""What holds for every test."""

from __future__ import annotations

import contextlib
import gc
import inspect
import os
import signal
import sys
import warnings
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.once import once
from tests.preload import client as preload
from tests.system.side_by_side import GROUPS
from tests.unmeasured import UNMEASURED as VARIABLES

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling

    from tests.backends import Postgres, RedisServer

_HERE = Path(__file__).parent

# Where it is set, each of the hundreds of processes that the tests start would compile the whole program anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Started in the background by a shell, we ignore SIGINT, and so would every program that the tests start and
# interrupt: it is right to leave ignored what was ignored.
for _signal in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, signal.default_int_handler if _signal is signal.SIGINT else signal.SIG_DFL)

preload.install()

if (_collector := sys.modules.get("coverage.collector")) is not None:
    # In each fork it would look for the module of each of our frames, among thousands, and only debugging shows them.
    _collector.short_stack = lambda *_, **__: ""  # type: ignore[attr-defined]


def pytest_unconfigure() -> None:
    """No process of ours is left behind."""
    preload.close()


def pytest_configure(config: pytest.Config) -> None:
    """Processes side by side begin to collect with different folders: each finds compiled what another began with."""
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker and [(config.invocation_params.dir / each).resolve() for each in config.args] == [_HERE]:
        ignored = {Path(each).resolve() for each in config.getoption("ignore") or ()}
        folders = sorted(each for each in _HERE.iterdir() if each.is_dir() and each not in ignored)
        start = int(worker["workerid"].removeprefix("gw")) * len(folders) // int(worker["workercount"])
        config.args[:] = map(str, folders[start:] + folders[:start])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """With xdist, tests that run beside each other go to one process; all others one by one to whoever is free."""
    if config.getvalue("dist") != "load":
        return None
    from tests.system.side_by_side import scheduler

    return scheduler(config, log)


UNMEASURED = {
    *("simulation", "fuzz", "cluster", "test_corpus.py"),
    # Judged by real processes, whose lines others take as well.
    *("test_build_memory.py", "test_busy_machine.py", "test_fronts.py", "test_isolation.py", "test_pytest.py"),
    *("test_module.py", "test_module_forging.py", "test_recorder.py", "test_template.py"),
    # Their commands are not measured anyway.
    *GROUPS,
}
"""Folders and modules that take only lines that the rest takes too."""


@contextlib.contextmanager
def _pause(coverage: Any) -> Iterator[None]:
    """In this context, coverage.py does not measure this process."""
    coverage.stop()
    try:
        yield
    finally:
        # Each start patches again: os._exit would call itself deeper each time, and each fork do all of it many times.
        patches, coverage.config.patch = coverage.config.patch, []
        coverage.start()
        coverage.config.patch = patches


def _measuring() -> Any:
    """What measures this process, if anything does."""
    coverage = sys.modules.get("coverage")
    return coverage.Coverage.current() if coverage else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, Any, Any]:
    """All processes side by side import the same: `make coverage` measures it in the first."""
    worker: dict[str, Any] = getattr(session.config, "workerinput", {"workerid": "gw0"})
    measuring = _measuring()
    with _pause(measuring) if measuring and worker["workerid"] != "gw0" else contextlib.nullcontext():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Pauses coverage.py during what is `unmeasured`, here and in the processes that it starts."""
    measuring = _measuring()
    if not measuring or item.get_closest_marker("unmeasured") is None:
        return (yield)
    kept = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
    try:
        with _pause(measuring):
            return (yield)
    finally:
        os.environ.update(kept)


def _mark_unmeasured(items: list[pytest.Item]) -> None:
    """`make coverage` does not measure what takes only lines that the rest takes too: measuring would take twice as
    long. These are tests that are `thorough`, and all but the first set of a test's parameters."""
    begun: set[str] = set()
    for item in items:
        function = item.nodeid.partition("[")[0]
        thorough = item.get_closest_marker("thorough")
        adds = thorough.kwargs.get("measured", False) if thorough else function not in begun
        if not adds or UNMEASURED & set(item.path.parts):
            item.add_marker(pytest.mark.unmeasured)
        else:
            begun.add(function)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A default run leaves out `thorough`. Where several run side by side, what waits is spread over the first half, so
    that it runs beside what computes, and nobody waits for it at the end."""
    if not os.environ.get("SUBCLI_TEST_ALL"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("thorough")])
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]
    # Not by `make test-core`, which measures each line and branch of the core.
    if VARIABLES.keys() & os.environ.keys():
        _mark_unmeasured(items)
    if hasattr(config, "workerinput"):
        mixed = sorted(items, key=lambda item: (zlib.crc32(item.nodeid.encode()), item.nodeid))
        long = [item for item in mixed if item.get_closest_marker("long")]
        rest = [item for item in mixed if not item.get_closest_marker("long")]
        places = [(number * len(rest) / (2 * len(long) + 1), item) for number, item in enumerate(long)]
        places += [(float(number), item) for number, item in enumerate(rest)]
        items[:] = [item for _, item in sorted(places, key=lambda place: place[0])]
        # Supervisors are forked of a template that is measured, or of another one that is not.
        items.sort(key=lambda item: item.get_closest_marker("unmeasured") is not None)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """A socket that an asyncio test leaks is found right after it, and not in another test."""
    result = yield
    if inspect.iscoroutinefunction(getattr(item, "function", None)):
        with warnings.catch_warnings(record=True) as leaked:
            warnings.simplefilter("always")
            gc.collect()
        # What outlives a test belongs to a fixture or a module. The next collection need not look at it.
        gc.freeze()
        assert not leaked, [str(warning.message) for warning in leaked]
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """With SUBCLI_TEST_ALL, as CI sets it, a skipped test is a failure: what it needs has to be installed."""
    report = yield
    if report.skipped and os.environ.get("SUBCLI_TEST_ALL"):
        report.outcome = "failed"
        report.longrepr = f"SUBCLI_TEST_ALL is set, and this was skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL, one for each process of the tests."""
    from tests.backends import Postgres

    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Redis, one for each process of the tests; each test takes a database of its own from it."""
    from tests.backends import RedisServer

    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the schema, made once: Alembic takes its time."""

    def make(place: Path) -> None:
        from subcli.server.log.database import open_database

        # Closing the last connection leaves everything in this one file.
        open_database(f"sqlite:///{place / 'subcli.db'}").dispose()

    return once(tmp_path_factory, "migrated", make)[0] / "subcli.db"
