"""The servers compared in the fan-out rows, each as a command."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench import peers
from bench.measure import Failed
from bench.processes import CONTENDERS, Serving, outcome_of, python_module, serving

OURS: Final = "subcli serve"
BARE: Final = "bare websockets broadcast"
FASTAPI: Final = "FastAPI, ConnectionManager"
CHANNELS: Final = "Django Channels, Redis"
NODE: Final = "node, ws"


def _python(where: Callable[[], Path], module: str) -> Callable[[], list[str]]:
    return lambda: [str(where() / "python"), "-m", f"bench.servers.{module}"]


def _node() -> list[str]:
    target = peers.node() / "ws_server.cjs"
    target.write_text((CONTENDERS / "ws_server.cjs").read_text())
    return ["node", str(target)]


COMMANDS: Final[dict[str, Callable[[], list[str]]]] = {
    BARE: _python(peers.peers, "bare"),
    OURS: _python(peers.subcli, "ours"),
    FASTAPI: _python(peers.peers, "fastapi_manager"),
    CHANNELS: _python(peers.peers, "django_channels"),
    NODE: _node,
}


@contextlib.contextmanager
def server(name: str, *, submissions: int, events: int = 0, rate: float = 0) -> Iterator[tuple[Serving, Path]]:
    """Run a server. Yields it and the file that makes it start sending; without events it never does."""
    with tempfile.TemporaryDirectory() as folder:
        go = Path(folder) / "go"
        words = ["--data", folder, "--submissions", str(submissions), "--events", str(events), "--rate", str(rate)]
        with serving([*COMMANDS[name](), *words, *(["--go", str(go)] if events else [])]) as running:
            yield running, go


def watch(server: Serving, words: Sequence[str], *, limit_s: float) -> dict[str, Any]:
    """Run the watchers to their end; what they say.

    Raises:
        Failed: they could not connect, or took too long.
    """
    try:
        outcome: dict[str, Any] = outcome_of(python_module("load", "--port", str(server.port), *words), limit_s=limit_s)
    except Failed as error:
        raise Failed(f"the watchers: {error}") from None
    return outcome
