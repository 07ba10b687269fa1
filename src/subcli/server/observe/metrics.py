"""Metrics of this process, for Prometheus.

What happens for every event and every watcher is counted in plain numbers, which costs nanoseconds, and turned
into samples only when Prometheus scrapes. Values that come from the database are read then as well.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Final, Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from subcli.server.log.records import Record

_log: Final = logging.getLogger(__name__)
_LAG_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_JUDGING_BUCKETS_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_WAITING_BUCKETS_S: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The numbers of one process.

    Attributes:
        connections: open sockets.
        opened: sockets opened so far.
        events: events sent to sockets, including replayed ones.
    """

    def __init__(self) -> None:
        # Creation timestamps would add a useless line per series.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.connections = 0
        self.opened = 0
        self.events = 0
        self._lag = [0] * (len(_LAG_BUCKETS_S) + 1)
        self._lag_sum = 0.0
        self._registry = CollectorRegistry()
        for standard in (ProcessCollector, PlatformCollector, GCCollector):
            standard(registry=self._registry)
        self._refusals = Counter(
            "subcli_refusals", "Sockets closed by the server, by close code.", ["code"], registry=self._registry
        )
        self._requests = Counter(
            "subcli_http_requests",
            "HTTP requests, by method and status.",
            ["method", "status"],
            registry=self._registry,
        )
        self._judging = Histogram(
            "subcli_judging_seconds",
            "Time from a worker's claim to the end of judging.",
            buckets=_JUDGING_BUCKETS_S,
            registry=self._registry,
        )
        self._waiting = Histogram(
            "subcli_waiting_seconds",
            "Time from submitting, or from coming back into the queue, to a worker's claim.",
            buckets=_WAITING_BUCKETS_S,
            registry=self._registry,
        )
        self._verdicts = Counter(
            "subcli_verdicts",
            "Verdicts given by this process, by problem and verdict.",
            ["problem", "verdict"],
            registry=self._registry,
        )
        self._judge_errors = Counter(
            "subcli_judge_errors",
            "Judgings in which the judge itself failed, by problem; the submission is tried again.",
            ["problem"],
            registry=self._registry,
        )
        self._interrupted = Counter(
            "subcli_interrupted",
            "Judgings that were interrupted: the worker was stopped, became unable, ran short, or vanished.",
            ["reason"],
            registry=self._registry,
        )
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self._registry.register(_OnDemand(self._families))

    def add_gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read on demand, in another thread. It is left out while `read` raises."""
        self._gauges[name] = (documentation, read)

    def sent(self, records: Sequence[Record]) -> None:
        """Count events sent to one socket. There must be at least one."""
        self.events += len(records)
        committed = records[0].committed
        if committed is not None:
            lag = max(0.0, time.time() - committed)
            self._lag[bisect_left(_LAG_BUCKETS_S, lag)] += 1
            self._lag_sum += lag

    def refused(self, code: int) -> None:
        """Count a socket that was closed with this code before it was complete."""
        self._refusals.labels(str(int(code))).inc()

    def answered(self, method: str, status: int) -> None:
        """Count a response."""
        self._requests.labels(method if method in _METHODS else "other", str(status)).inc()

    def judged(self, seconds: float) -> None:
        """Record how long judging a submission took."""
        self._judging.observe(seconds)

    def claimed(self, waited_s: float) -> None:
        """Record how long a submission waited until it was claimed."""
        self._waiting.observe(waited_s)

    def ended(self, problem: str, verdict: str) -> None:
        """Count a verdict."""
        self._verdicts.labels(problem, verdict).inc()

    def judge_failed(self, problem: str) -> None:
        """Count a judging in which the judge failed, whether or not the submission is tried again."""
        self._judge_errors.labels(problem).inc()

    def interrupted(self, reason: Literal["stopped", "unable", "short", "vanished"]) -> None:
        """Count a judging that is begun again."""
        self._interrupted.labels(reason).inc()

    def text(self) -> bytes:
        """All metrics in Prometheus's text format. Blocks while gauges are read."""
        return generate_latest(self._registry)

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Serve all metrics at this address, in threads.

        Returns:
            A function that stops serving them.

        Raises:
            OSError: the server cannot listen on this address.
        """
        server, thread = start_http_server(port, host, self._registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            if thread is not threading.current_thread():
                thread.join()

        return stop

    def _families(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("subcli_connections", "Open sockets.", self.connections)
        yield CounterMetricFamily("subcli_sockets_opened", "Sockets opened.", self.opened)
        yield CounterMetricFamily("subcli_events_sent", "Events sent to sockets.", self.events)
        counts = list(accumulate(self._lag))
        yield HistogramMetricFamily(
            "subcli_delivery_lag_seconds",
            "Time from an event's commit until it is sent to a watcher; replayed events do not count.",
            list(zip([*map(str, _LAG_BUCKETS_S), "+Inf"], counts, strict=True)),
            self._lag_sum,
        )
        for name, (documentation, read) in self._gauges.items():
            try:
                yield GaugeMetricFamily(name, documentation, read())
            except Exception as error:
                _log.warning("cannot read %s: %s", name, getattr(error, "orig", error))


class _OnDemand(Collector):
    """Builds metric families when Prometheus scrapes."""

    def __init__(self, families: Callable[[], Iterable[Metric]]) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        # Otherwise registering would already read the gauges.
        return ()

    def collect(self) -> Iterable[Metric]:
        return self._families()
