"""The bodies of REST answers: the shapes that are wanted, and the sentence of a refusal. Pure.

A body of another shape is a :class:`ValueError` with the sentence to show; most often it means that the
address leads to something that is no such server.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from subcli.shared.secret import Secret

Json: TypeAlias = dict[str, Any]


class Info(msgspec.Struct, frozen=True):
    """What a server says of itself; empty for one that has no ``/info``."""

    name: str = ""
    version: str = ""
    demo: bool = False
    features: frozenset[str] = frozenset()

    @property
    def resume(self) -> bool:
        """Whether the server numbers its events and replays them."""
        return "resume" in self.features


def as_object(body: Any) -> Json:
    """An object."""
    if not isinstance(body, dict):
        raise ValueError("not an object")
    return body


def as_list(body: Any) -> list[Any]:
    """A list, bare or as the only list of an object."""
    if isinstance(body, dict):
        lists = [value for value in body.values() if isinstance(value, list)]
        body = lists[0] if len(lists) == 1 else None
    if not isinstance(body, list):
        raise ValueError("not a list")
    return body


def sentence(body: Any) -> str:
    """The sentence in ``{"detail": …}``, also in FastAPI's list of faults."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):
        faults = [str(fault.get("msg", "")) for fault in detail if isinstance(fault, dict)]
        return "; ".join(fault for fault in faults if fault)
    if isinstance(detail, dict) and isinstance(detail.get("message"), str):
        return str(detail["message"])
    return ""


def as_info(answer: Any) -> Info:
    """What ``GET /info`` says; features that are no list are none."""
    if not isinstance(answer, dict):
        return Info()
    features = answer.get("features")
    return Info(
        name=str(answer.get("name", "")),
        version=str(answer.get("version", "")),
        demo=answer.get("demo") is True,
        features=frozenset(str(feature) for feature in features) if isinstance(features, list) else frozenset(),
    )


def as_token(body: Any) -> Secret:
    """A token, by whichever name the server gives it."""
    found = [body.get(name) for name in ("token", "watch_token", "access_token")] if isinstance(body, dict) else []
    for value in found:
        if isinstance(value, str) and value:
            return Secret(value)
    raise ValueError("no token in the answer")
