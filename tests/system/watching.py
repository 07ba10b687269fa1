"""What the rows of section 7 share: a watch in JSON, and what is checked of its end."""

from __future__ import annotations

from typing import Any

from .command import Commands, Done
from .conftest import CANARIES
from .scripted import (
    Answer,
    Request,
    Rest,
    Server,
)


async def watch(command: Commands, server: Server, *options: str, **more: Any) -> Done:
    """`subcli watch 1 --json`."""
    return await command("watch", "1", "--json", "--server", server.url, *options, **more)


def check_all_seen(done: Done, server: Server, *, connects: int) -> None:
    """A passed verdict, every event once and in order, after so many connects."""
    assert done.code == 0, done
    assert done.seqs == [1, 2, 3, 4, 5, 6]
    assert (done.last["type"], done.last["final_status"]) == ("result", "passed")
    assert len(server.connects) == connects, done.out
    check_connects_are_throttled(server)


def check_connects_are_throttled(server: Server) -> None:
    """Never more than five connects in any ten seconds."""
    at = [connect.at for connect in server.connects]
    assert all(later - earlier >= 9.9 for earlier, later in zip(at, at[5:], strict=False)), at


def check_failed(done: Done, code: int, kind: str, *words: str) -> None:
    """One last line: an error of this kind that holds these words."""
    assert done.code == code, done
    assert [line["type"] for line in done.lines].count("error") == 1
    assert (done.last["type"], done.last["error"]["kind"], done.last["exit_code"]) == ("error", kind, code)
    said = f"{done.last['error']['message']} {done.last['error']['hint']}"
    for word in words:
        assert word in said, said


def check_backoff(done: Done, gap: float, attempt: int, at_least: float = 0.0) -> None:
    """A gap between two connections is min(2ⁿ s, 30 s), ±20 %."""
    delay = min(2.0**attempt, 30.0)
    assert max(delay * 0.8, at_least) - 0.05 <= gap <= max(delay * 1.2, at_least) + done.allowance_s, (gap, done.late_s)


def polled(final_status: str, after_connects: int) -> Rest:
    """A server without features whose snapshot has a verdict only once the socket must have been given up.

    The last connect and its end are worth a look each, before that is decided; at least two looks are polls.
    """
    rest = Rest(features=None)
    looks = 0

    def first(request: Request) -> Answer | None:
        nonlocal looks
        server = rest.server
        if request.path == "/api/submissions/1" and len(server.connects) >= after_connects == len(server.left):
            looks += 1
        if request.path == "/api/submissions/1" and looks > 3:
            return Answer(200, {"id": 1, "status": "completed", "final_status": final_status})
        return None

    rest.first = first
    return rest


def refusing_rest(status: int) -> Rest:
    """REST that knows no submission but with this answer."""
    return Rest(first=lambda request: Answer(status, {"detail": "no"}) if "/submissions/1" in request.path else None)


def through(proxy: Server) -> dict[str, str]:
    """Variables that name a scripted server as proxy, with the planted credentials."""
    url = f"http://{CANARIES['proxy user']}:{CANARIES['proxy password']}@127.0.0.1:{proxy.port}"
    return dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), url)
