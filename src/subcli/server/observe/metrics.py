"""What this process counts, for Prometheus.

What happens for every event and every watcher is counted in plain numbers, which cost nanoseconds, and only
turned into samples when somebody asks. What a database has to be asked for is asked for then.
"""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Final

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
_LAG: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_JUDGING: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The numbers of one process.

    Attributes:
        connections: sockets that are open.
        opened: sockets that were.
        events: events handed to sockets, replayed ones included.
    """

    def __init__(self) -> None:
        # Their moments of creation: a line for each series, and of no use to anybody.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.connections = 0
        self.opened = 0
        self.events = 0
        self._lag = [0] * (len(_LAG) + 1)
        self._lag_sum = 0.0
        self._registry = CollectorRegistry()
        for standard in (ProcessCollector, PlatformCollector, GCCollector):
            standard(registry=self._registry)
        self._refusals = Counter(
            "subcli_refusals", "Sockets that the server closed, by close code.", ["code"], registry=self._registry
        )
        self._requests = Counter(
            "subcli_http_requests", "HTTP requests answered.", ["method", "status"], registry=self._registry
        )
        self._judging = Histogram(
            "subcli_judging_seconds",
            "From a worker's claim to the end of its judging.",
            buckets=_JUDGING,
            registry=self._registry,
        )
        self._asked: dict[str, tuple[str, Callable[[], float]]] = {}
        self._registry.register(_Live(self))

    def ask(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Add a gauge whose value is asked for when it is wanted, in another thread. Left out while `read` raises."""
        self._asked[name] = (documentation, read)

    def sent(self, records: Sequence[Record]) -> None:
        """Events have been handed to one socket, at least one, in order."""
        self.events += len(records)
        committed = records[0].committed
        if committed is not None:
            lag = max(0.0, time.time() - committed)
            self._lag[bisect_left(_LAG, lag)] += 1
            self._lag_sum += lag

    def refused(self, code: int) -> None:
        """A socket has been closed with this code, and not because all was said."""
        self._refusals.labels(str(int(code))).inc()

    def answered(self, method: str, status: int) -> None:
        """An HTTP request has been answered."""
        self._requests.labels(method if method in _METHODS else "other", str(status)).inc()

    def judged(self, seconds: float) -> None:
        """A judging has ended after so long."""
        self._judging.observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus's text format. Blocks while what is asked for is asked for."""
        return generate_latest(self._registry)

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Answer every request at this address with all of it, in threads, until what is returned is called.

        Raises:
            OSError: the address cannot be listened on.
        """
        server, thread = start_http_server(port, host, self._registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            if thread is not threading.current_thread():
                thread.join()

        return stop

    def _families(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("subcli_connections", "Sockets that are open.", self.connections)
        yield CounterMetricFamily("subcli_sockets_opened", "Sockets that were opened.", self.opened)
        yield CounterMetricFamily("subcli_events_sent", "Events handed to sockets.", self.events)
        counts = list(accumulate(self._lag))
        yield HistogramMetricFamily(
            "subcli_delivery_lag_seconds",
            "From an event's commit until it is handed to a watcher's socket; not for what is replayed.",
            list(zip([*map(str, _LAG), "+Inf"], counts, strict=True)),
            self._lag_sum,
        )
        for name, (documentation, read) in self._asked.items():
            try:
                yield GaugeMetricFamily(name, documentation, read())
            except Exception as error:
                _log.warning("%s is not known: %s", name, getattr(error, "orig", error))


class _Live(Collector):
    """The plain numbers as families."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        # Or registering it would ask for what has to be asked for.
        return ()

    def collect(self) -> Iterable[Metric]:
        return self._metrics._families()
