"""A message between nodes, in the envelope of Maelstrom: `{"src": …, "dest": …, "body": {"type": …}}`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from subcli.judge.evidence import Site

JUDGE = "judge"
"""The name of the tests themselves in messages."""


@dataclass(frozen=True)
class Message:
    """A message, when it was sent (in simulated time), and the lines that sent it."""

    src: str
    dest: str
    body: Mapping[str, object]
    sent_ms: int = 0
    sites: tuple[Site, ...] = ()
    """The solution's call stack when it wrote the message, innermost first; empty if unknown."""

    @property
    def type(self) -> str:
        return str(self.body.get("type", ""))

    def encoded(self) -> bytes:
        """The line that a node reads."""
        return json.dumps({"src": self.src, "dest": self.dest, "body": dict(self.body)}).encode() + b"\n"


def parse(line: bytes, node: str, now_ms: int, sites: tuple[Site, ...]) -> Message:
    """The message on a line that `node` printed.

    Raises:
        ValueError: The line is not a message; says why.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError(f"is JSON, but {_kind(value)} instead of an object")
    body = value.get("body")
    dest = value.get("dest")
    if not isinstance(dest, str):
        raise ValueError('has no "dest", the name of the node that it is for')
    if not isinstance(body, dict):
        raise ValueError('has no "body" that is an object')
    if not isinstance(body.get("type"), str):
        raise ValueError('has a "body" without a "type"')
    if value.get("src", node) != node:
        raise ValueError(f'says "src": {json.dumps(value["src"])}, but it came from {node}')
    return Message(node, dest, body, now_ms, sites)


def _kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
