"""Whose turn a request is."""

from __future__ import annotations

from asyncio import Transport
from collections.abc import Callable, Hashable
from typing import Any, cast

import pytest

from subcli.server.edge.clients import Clients
from subcli.server.edge.crowd import Crowd
from subcli.server.edge.turns import Turns, User
from tests.server.gateway.test_gateway import next_event

GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n"


def client_of(head: bytes, address: str = "192.0.2.1") -> Hashable:
    """Of a request with this head, where `good` is a token of ada's; `connection` if nothing else is known."""
    crowd = Crowd(10, 10, ["10.0.0.0/8"])
    connection = cast(Transport, "connection")
    crowd.enter(connection, address)
    return Clients(crowd, {"good": "ada"}.get).of(head, connection)


@pytest.mark.parametrize(
    "head",
    [
        GET % b"Authorization: Bearer good\r\n",
        GET % b"X: y\r\nauthorization:bearer   good\r\nX: y\r\n",
        b"GET /ws/submissions/1?after_seq=3&token=good HTTP/1.1\r\n\r\n",
        b"GET /ws/submissions/1?token=good&after_seq=3 HTTP/1.1\r\n\r\n",
        GET % b"Cookie: a=b; subcli_session_8000=good; c=d\r\n",
        GET % b"Cookie: __Host-subcli_session=good\r\n",
        GET % b"Authorization: Bearer good\r\n" + b"the body",
        GET % b"X-Forwarded-For: 192.0.2.9\r\nAuthorization: Bearer good\r\n",
    ],
)
@pytest.mark.parametrize("address", ["192.0.2.1", "127.0.0.1"])
def test_user_is_known_by_the_token(head: bytes, address: str) -> None:
    """In whatever place tokens are, directly or through a proxy."""
    assert client_of(head, address) == User("ada")


@pytest.mark.parametrize(
    "head",
    [
        GET % b"",
        GET % b"Authorization: Bearer bad\r\n",
        GET % b"Authorization: Basic good\r\n",
        GET % b"Authorization: Bearer \xff\r\n",
        GET % b"X-Authorization: Bearer good\r\n",
        GET % b"X-Forwarded-For: 198.51.100.1\r\n",
        b"POST / HTTP/1.1\r\n\r\nAuthorization: Bearer good\r\n\r\n",
        b"GET / HTTP/1.1\r\nAuthorization: Bearer good\r\n",
        GET % (b"X: " + b"y" * 10_000 + b"\r\nAuthorization: Bearer good\r\n"),
        b"\r\n\r\n",
        b"",
    ],
)
def test_others_are_known_by_their_network(head: bytes) -> None:
    """Without a valid token in the head, before the head is there, and where it is absurdly long."""
    assert client_of(head) == "192.0.2.1"


@pytest.mark.parametrize(
    ("forwarded", "network"),
    [
        (b"198.51.100.1", "198.51.100.1"),
        (b"198.51.100.1, 203.0.113.7", "203.0.113.7"),
        (b"198.51.100.1,10.1.2.3 , 127.0.0.1", "198.51.100.1"),
        (b"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (b"1.1.1.1\r\nX-Forwarded-For: 198.51.100.1", "198.51.100.1"),
        (b"junk", "connection"),
        (b"\xff", "connection"),
        (b"", "connection"),
        (b"198.51.100.1" + b", 10.0.0.1" * 20, "connection"),
    ],
)
def test_stranger_behind_a_proxy_is_known_by_what_the_proxy_says(forwarded: bytes, network: str) -> None:
    """The last address that is no proxy's, because a client can write others before it."""
    assert client_of(GET % (b"X-Forwarded-For: " + forwarded + b"\r\n"), "127.0.0.1") == network
    assert client_of(GET % b"", "127.0.0.1") == "connection"


async def test_turns_of_a_server_are_its_users(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they log in with: access tokens, those of machines, for sockets and of pages; and links on their own."""
    clients: list[Hashable] = []
    ask = Turns.ask

    def noted(turns: Turns, client: Hashable, begin: Callable[[], None]) -> None:
        clients.append(client)
        ask(turns, client, begin)

    async with start(auth=True) as live:
        await live.be("ada")
        user = User(str(live.accounts.users.find("ada").id))
        number = await live.submit("wait")
        machine = (await live.http.post("/api/auth/tokens", json={"name": "ci", "scope": "read"})).json()["token"]
        link = (await live.http.post(f"/api/submissions/{number}/links", json={})).json()["url"].rpartition("=")[2]
        page = live.services.auth.tokens.page(int(user.key), "s")
        once = (await live.http.post(f"/api/submissions/{number}/watch-token")).json()["token"]
        monkeypatch.setattr(Turns, "ask", noted)

        async def asked(**headers: str) -> Hashable:
            """The client of a request with these headers and no others."""
            clients.clear()
            del live.http.headers["Authorization"]
            await live.http.get(f"/api/submissions/{number}", headers=headers)
            live.http.headers["Authorization"] = bearer
            [client] = clients
            return client

        bearer = live.http.headers["Authorization"]
        assert await asked(authorization=bearer) == user
        assert await asked(cookie=f"subcli_session_1={page}") == user
        assert await asked(authorization=bearer + "x") != user
        # Only the database knows these. After the first request, so do we.
        assert await asked(authorization=f"Bearer {machine}") != user
        assert await asked(authorization=f"Bearer {machine}") == user
        await asked(authorization=f"Bearer {link}")
        assert isinstance(shown := await asked(authorization=f"Bearer {link}"), User)
        assert shown != user
        clients.clear()
        watching = await live.watch(number, f"?token={once}")
        await next_event(watching)
        await watching.send("ping")
        while await watching.recv() != "pong":
            pass
        # The handshake, and what comes on the socket.
        assert clients == [user, user]
