"""Decoding the JSON bodies of REST responses, and the reason in an error. Pure.

A body of another type raises :class:`ValueError` with the sentence to show. Most often it means that the address does
not belong to a subcli server.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from subcli.shared.secret import Secret

Json: TypeAlias = dict[str, Any]


class ServerInfo(msgspec.Struct, frozen=True):
    """What a server says about itself; empty for one without ``/info``."""

    name: str = ""
    version: str = ""
    demo: bool = False
    features: frozenset[str] = frozenset()

    @property
    def resume(self) -> bool:
        """Whether the server numbers its events and replays them."""
        return "resume" in self.features


def as_object(body: Any) -> Json:
    """A JSON object."""
    if not isinstance(body, dict):
        raise ValueError("the response is not a JSON object")
    return body


def as_list(body: Any) -> list[Any]:
    """A list, by itself or as the only list in an object."""
    if isinstance(body, dict):
        lists = [value for value in body.values() if isinstance(value, list)]
        body = lists[0] if len(lists) == 1 else None
    if not isinstance(body, list):
        raise ValueError("the response is not a list")
    return body


def error_detail(body: Any) -> str:
    """The text in ``{"detail": …}``, which may be FastAPI's list of errors; empty if there is none."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):
        errors = [str(error.get("msg", "")) for error in detail if isinstance(error, dict)]
        return "; ".join(error for error in errors if error)
    if isinstance(detail, dict) and isinstance(detail.get("message"), str):
        return str(detail["message"])
    return ""


def as_server_info(body: Any) -> ServerInfo:
    """The body of ``GET /info``; features that are not a list count as none."""
    if not isinstance(body, dict):
        return ServerInfo()
    features = body.get("features")
    return ServerInfo(
        name=str(body.get("name", "")),
        version=str(body.get("version", "")),
        demo=body.get("demo") is True,
        features=frozenset(str(feature) for feature in features) if isinstance(features, list) else frozenset(),
    )


def as_token(body: Any) -> Secret:
    """A token, under any of the names that servers give it."""
    found = [body.get(name) for name in ("token", "watch_token", "access_token")] if isinstance(body, dict) else []
    for value in found:
        if isinstance(value, str) and value:
            return Secret(value)
    raise ValueError("the response has no token")
