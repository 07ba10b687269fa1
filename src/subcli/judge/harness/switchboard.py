"""Waiting on the pipes of many nodes at once, in one thread."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Sequence

from subcli.judge.harness.node import Node
from subcli.judge.process.stopwatch import MAX_STRETCH

# Called when a descriptor is ready. Returns False at the end of the stream.
_Handler = Callable[[], bool]


class Switchboard:
    """Moves bytes between the judge and all nodes."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def add(self, node: Node) -> None:
        def stdout() -> bool:
            node.read_stdout()
            return not node.at_end

        self._register(node.stdout, stdout)
        self._register(node.stderr, node.read_stderr)
        self._register(node.trace, node.read_trace)

    def remove(self, node: Node) -> None:
        for descriptor in (node.stdin, node.stdout, node.stderr, node.trace):
            self._unregister(descriptor)

    def close(self) -> None:
        self._selector.close()

    def exchange(self, nodes: Sequence[Node], is_done: Callable[[Node], bool], seconds: float) -> list[Node]:
        """Write and read until every node is done or has closed its stdout.

        Returns:
            The nodes that were not done after `seconds`, not counting the time in which they had to wait for a
            processor.
        """
        began = time.monotonic()
        deadline = began + seconds
        open_nodes = list(nodes)
        for node in open_nodes:
            node.write_some()
            if node.unsent:
                self._watch_stdin(node)
        while True:
            open_nodes = [node for node in open_nodes if not (is_done(node) or node.at_end)]
            if not open_nodes:
                return []
            left = deadline - time.monotonic()
            if left <= 0:
                # Measured only now, and since the nodes' start: before every exchange, it would take longer than that.
                delay_s = max(node.delay_s() for node in open_nodes)
                deadline = began + min(seconds + delay_s, seconds * MAX_STRETCH)
                if deadline <= time.monotonic():
                    return open_nodes
                continue
            for key, _ in self._selector.select(left):
                handler: _Handler = key.data
                if not handler():
                    self._unregister(key.fd)

    def _watch_stdin(self, node: Node) -> None:
        def send() -> bool:
            node.write_some()
            return bool(node.unsent)

        self._unregister(node.stdin)
        self._register(node.stdin, send, selectors.EVENT_WRITE)

    def _register(self, descriptor: int, handler: _Handler, event: int = selectors.EVENT_READ) -> None:
        self._selector.register(descriptor, event, handler)

    def _unregister(self, descriptor: int) -> None:
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)
