"""How often something may be tried. Pure: the clock is handed in."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

_MOST_KEYS: Final = 10_000
"""Beyond these the ones that were quiet for longest are forgotten."""


class Attempts:
    """Counts attempts by key within a sliding window.

    An attempt is counted when it begins, so that many at once are not more than many in a row; one that
    succeeds is given back.

    Args:
        most: attempts within `window` seconds.
        clock: seconds from any beginning, monotonic.
    """

    def __init__(self, most: int, window: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._window = window
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Seconds until another attempt may begin; 0 for now."""
        times = self._times.get(key)
        if times is None or len(times) < self._most:
            return 0.0
        return max(0.0, times[0] + self._window - self._clock())

    def begin(self, key: str) -> None:
        """Count an attempt that begins now."""
        times = self._times.setdefault(key, deque(maxlen=self._most))
        times.append(self._clock())
        self._times.move_to_end(key)
        if len(self._times) > _MOST_KEYS:
            self._times.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Give back the latest attempt."""
        times = self._times.get(key)
        if times:
            times.pop()
        if not times:
            self._times.pop(key, None)
