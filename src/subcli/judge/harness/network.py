"""The simulated network: seeded delay and loss, partitions, and rules that drop messages."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from subcli.judge.harness.message import Message

Rule = Callable[[Message], bool]


class Observer(Protocol):
    """Is told what becomes of messages that do not arrive, and of partitions."""

    def stopped(self, message: Message, fate: str) -> None:
        """It will not arrive: `lost`, `dropped` by a rule, `cut_off` by a partition, or its receiver has `crashed`."""
        ...

    def partitioned(self, groups: tuple[frozenset[str], ...]) -> None:
        """From now on only members of one group reach each other; everybody does if there is none."""
        ...


class Network:
    """Decides whether and when a message arrives. All times are milliseconds of simulated time.

    The same seed and the same messages give the same deliveries.
    """

    def __init__(self, seed: int, *, delay_ms: tuple[int, int] = (1, 5), loss: float = 0.0) -> None:
        self.delay_ms = delay_ms
        self.loss = loss
        self._observer: Observer | None = None
        self._random = random.Random(seed)
        self._queue: list[tuple[int, int, Message]] = []
        self._count = 0
        self._groups: tuple[frozenset[str], ...] = ()
        self._drop_rules: list[Rule] = []

    def send(self, message: Message) -> None:
        """Accept a message, to be delivered after a delay or lost."""
        lost = self._random.random() < self.loss
        delay = self._random.randint(*self.delay_ms)
        if lost:
            self._stop(message, "lost")
        elif not self._connected(message.src, message.dest):
            self._stop(message, "cut_off")
        elif any(rule(message) for rule in self._drop_rules):
            self._stop(message, "dropped")
        else:
            self._count += 1
            heapq.heappush(self._queue, (message.sent_ms + delay, self._count, message))

    def due(self, now_ms: int) -> Iterable[Message]:
        """The messages that arrive by `now_ms`, in order of arrival."""
        while self._queue and self._queue[0][0] <= now_ms:
            message = heapq.heappop(self._queue)[2]
            # A partition also stops messages that are already on their way.
            if self._connected(message.src, message.dest):
                yield message
            else:
                self._stop(message, "cut_off")

    def partition(self, *groups: Collection[str]) -> None:
        """Let only members of the same group reach each other. A node in no group is isolated."""
        self._groups = tuple(frozenset(group) for group in groups)
        self._tell_groups()

    def heal(self) -> None:
        """End the partition."""
        self._groups = ()
        self._tell_groups()

    def drop(self, rule: Rule) -> Callable[[], None]:
        """Drop every message for which `rule` is true. Returns a function that removes the rule."""
        self._drop_rules.append(rule)
        return lambda: self._drop_rules.remove(rule)

    def forget(self, node: str) -> None:
        """Drop what is on its way to `node`, which has crashed."""
        for _, _, message in self._queue:
            if message.dest == node:
                self._stop(message, "crashed")
        self._queue = [entry for entry in self._queue if entry[2].dest != node]
        heapq.heapify(self._queue)

    def observe(self, observer: Observer) -> None:
        """Tell `observer` from now on, and at once of a partition that there is."""
        self._observer = observer
        if self._groups:
            self._tell_groups()

    def _stop(self, message: Message, fate: str) -> None:
        if self._observer is not None:
            self._observer.stopped(message, fate)

    def _tell_groups(self) -> None:
        if self._observer is not None:
            self._observer.partitioned(self._groups)

    def _connected(self, a: str, b: str) -> bool:
        return not self._groups or any(a in group and b in group for group in self._groups)
