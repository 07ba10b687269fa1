"""Section 7 of the contract, row by row, over real sockets: the installed program against a scripted server.

Checked of each row: the exit code, what was shown (each event once and in order), how often and when the
client connected, and that it asked for what it had missed. Delays are the contract's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from email.utils import formatdate

import pytest

from .command import Commands, Done
from .scripted import (
    BINARY,
    CLOSE,
    LOG,
    TEXT,
    Answer,
    Request,
    Rest,
    Script,
    Server,
    Wire,
    closing,
    event,
    finish,
    gone,
    refusing,
    scripted,
    some,
    staying,
)
from .together import SLACK_S, Batch, together

row = Batch()
PARTS = 6


@pytest.mark.timeout(170)
@pytest.mark.parametrize("part", range(PARTS))
async def test_rows(command: Commands, part: int) -> None:
    """Rows of section 7, a sixth of them beside each other."""
    await together(row.part(part, PARTS), command)


# -- helpers ----------------------------------------------------------------------------------------


async def watch(command: Commands, server: Server, *options: str, **more: object) -> Done:
    """`subcli watch 1 --json`."""
    return await command("watch", "1", "--json", "--server", server.url, *options, **more)


def check_all_seen(done: Done, server: Server, *, connects: int) -> None:
    """A passed verdict, every event once and in order, after so many connects."""
    assert done.code == 0, done
    assert done.seqs == [1, 2, 3, 4, 5, 6]
    assert (done.last["type"], done.last["final_status"]) == ("result", "passed")
    assert len(server.connects) == connects, done.out
    check_no_storm(server)


def check_no_storm(server: Server) -> None:
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


def check_backoff(gap: float, attempt: int, at_least: float = 0.0) -> None:
    """min(2ⁿ s, 30 s), ±20 %."""
    delay = min(2.0**attempt, 30.0)
    assert max(delay * 0.8, at_least) - 0.05 <= gap <= max(delay * 1.2, at_least) + SLACK_S, gap


def polled(final_status: str, after_connects: int) -> Rest:
    """A server without features whose snapshot has a verdict only once the socket must have been given up."""
    rest = Rest(features=None)

    def first(request: Request) -> Answer | None:
        server = rest.server
        given_up = len(server.connects) >= after_connects and time.monotonic() - server.left[-1] > 1
        if request.path == "/api/submissions/1" and given_up:
            return Answer(200, {"id": 1, "status": "completed", "final_status": final_status})
        return None

    rest.first = first
    return rest


def refusing_rest(status: int) -> Rest:
    """REST that knows no submission but with this answer."""
    return Rest(first=lambda request: Answer(status, {"detail": "no"}) if "/submissions/1" in request.path else None)


# -- closes that a reconnect cures ------------------------------------------------------------------


@row
async def complete_then_1000(command: Commands) -> None:
    """1000 after `complete`: exit by the verdict, at once, after a single connect."""
    async with scripted(finish) as server:
        check_all_seen(await watch(command, server), server, connects=1)


@row
async def complete_and_no_close(command: Commands) -> None:
    """`complete` and then no close: the client closes by itself with 1000 and exits within a second."""
    heard: list[tuple[int, bytes]] = []
    sent = 0.0

    async def never_closing(wire: Wire) -> None:
        nonlocal sent
        await some(6)(wire)
        sent = time.monotonic()
        while not heard or heard[-1][0] != CLOSE:
            heard.append(await wire.read())
        await wire.stay()

    async with scripted(never_closing) as server:
        done = await watch(command, server)
        ended = time.monotonic()
    check_all_seen(done, server, connects=1)
    assert heard[-1] == (CLOSE, b"\x03\xe8")
    assert ended - sent < 1.0 + SLACK_S


async def retried(script: Script, command: Commands) -> None:
    """The connection ends at seq 3; the next one goes on after 3."""
    async with scripted(script, finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    assert [connect.query("after_seq") for connect in server.connects] == [None, "3"]
    check_backoff(server.gaps[0], 1)
    looked = [request.query("after_seq") for request in server.asked("GET", "/api/submissions/1/events")]
    assert "3" in looked, "what was missed is asked for before the next connect"


async def half_a_frame(wire: Wire) -> None:
    """The first half of a text frame, then FIN."""
    await wire.raw(b"\x81\x7e\x01\x00" + b'{"type": "test_')


async def reset(wire: Wire) -> None:
    """RST in the middle."""
    await asyncio.sleep(0.2)
    wire.reset()


for _script in (
    *(closing(code, "because", upto=3) for code in (1000, 1001, 1011, 1012, 1013, 1014, 4000, 4499)),
    closing(None, upto=3),
    some(3),
    some(3, half_a_frame),
    some(3, reset),
):
    row(functools.wraps(retried)(functools.partial(retried, _script)))


async def refused_then_cured(status: int, command: Commands) -> None:
    """The handshake is answered 500, 502, 503 or 504: once more after the backoff, with the attempt shown."""
    async with scripted(refusing(status), finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    again = next(line for line in done.of("connection") if line["state"] == "reconnecting")
    assert (again["attempt"], again["code"]) == (1, status)
    assert 1.6 <= again["delay_s"] <= 2.4
    check_backoff(server.gaps[0], 1)


for _status in (500, 502, 503, 504):
    row(functools.wraps(refused_then_cured)(functools.partial(refused_then_cured, _status)))


@row
async def verdict_in_the_log(command: Commands) -> None:
    """A close without `complete` while the verdict is in the log already: done at once, without another connect."""
    async with scripted(closing(1000, upto=3), rest=Rest(log=LOG)) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=1)
    assert done.ended - server.connects[0].at < 0.5 + SLACK_S


@row
async def server_away_for_a_while(command: Commands) -> None:
    """The server dies, port and all, and comes back: refused connections are outlived."""
    async with scripted(some(3)) as server:
        before = server.port
        process = await command.start("watch", "1", "--json", "--server", server.url)
        await server.connected.wait()
        await asyncio.sleep(0.2)
    await asyncio.sleep(2.6)
    back = Server(Rest(), [finish])
    listening = await asyncio.start_server(back.serve, "127.0.0.1", before)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    listening.close()
    done = Done(process.returncode or 0, out.decode(), err.decode(), 0)
    check_all_seen(done, back, connects=1)
    attempts = [line["attempt"] for line in done.of("connection") if line["state"] == "reconnecting"]
    assert attempts[:2] == [1, 2]


# -- giving up the socket ---------------------------------------------------------------------------


@row
async def attempts_used_up_then_polling(command: Commands) -> None:
    """Attempts used up: REST is polled, which is said on stderr, and its verdict decides."""
    async with scripted(closing(1011, "broken"), rest=polled("passed", 2)) as server:
        done = await command("watch", "1", "--plain", "--max-attempts", "1", "--server", server.url)
    assert done.code == 0, done
    assert len(server.connects) == 2
    assert "asking for the state" in done.err
    polls = [request.at for request in server.asked("GET", "/api/submissions/1")][-2:]
    assert 1.9 <= polls[1] - polls[0] <= 3 + SLACK_S


@row
async def nothing_answers_any_more(command: Commands) -> None:
    """The socket is lost for good and REST is silent too: exit 6, and how to take it up again."""
    rest = Rest(first=lambda request: Answer(cut=True) if request.path != "/api/info" else None)
    async with scripted(some(3), gone, rest=rest) as server:
        done = await watch(command, server, "--max-attempts", "1")
    check_failed(done, 6, "network", "subcli watch")
    assert done.seqs == [1, 2, 3]


@row
async def no_attempts_at_all(command: Commands) -> None:
    """--max-attempts 0: the first trouble gives up the socket, and polling still brings the verdict."""
    async with scripted(closing(1012), rest=polled("failed", 1)) as server:
        done = await watch(command, server, "--max-attempts", "0")
    assert done.code == 1, done
    assert len(server.connects) == 1
    assert "polling" in done.states()


async def incurable(script: Script, command: Commands) -> None:
    """A handshake answered by what no retry cures: twice, then polling; REST's verdict decides."""
    async with scripted(script, rest=polled("passed", 2)) as server:
        done = await watch(command, server)
    assert done.code == 0, done
    assert len(server.connects) == 2
    assert "polling" in done.states()
    check_backoff(server.gaps[0], 1)


async def not_http(wire: Wire) -> None:
    """Bytes that are no HTTP."""
    await wire.raw(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


async def wrong_accept(wire: Wire) -> None:
    """101, from something that is no WebSocket server."""
    await wire.raw(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: nonsense\r\n\r\n"
    )


for _script in (*(refusing(status) for status in (200, 204, 400, 405, 426)), not_http, wrong_accept):
    row(functools.wraps(incurable)(functools.partial(incurable, _script)))


@row
async def redirect_to_another_origin(command: Commands) -> None:
    """A redirect elsewhere is not followed, by socket or REST: the other server never hears of us."""
    async with scripted(finish) as elsewhere:

        def moved(request: Request) -> Answer | None:
            return Answer(307, None, {"Location": f"{elsewhere.url}{request.target}"})

        ws = elsewhere.url.replace("http", "ws") + "/ws/submissions/1"
        async with scripted(refusing(302, Location=ws), rest=polled("passed", 2)) as server:
            done = await watch(command, server)
        assert done.code == 0
        assert len(server.connects) == 2
        async with scripted(finish, rest=Rest(first=moved)) as server:
            status = await command("status", "1", "--server", server.url)
        assert status.code == 6
        assert "redirect" in status.err
    assert elsewhere.requests == []


@row
async def redirect_within_the_origin(command: Commands) -> None:
    """A redirect within the origin is followed, however its address is written, and the token goes along."""
    for target in ("/ws/elsewhere", "{url}/ws/elsewhere"):

        async def moved(wire: Wire, target: str = target) -> None:
            await wire.refuse(307, Location=target.format(url=server.url))

        def also(request: Request) -> Answer | None:
            if request.path == "/api/submissions/1":
                return Answer(308, None, {"Location": "/api/submissions/1/"})
            return Answer(200, {"id": 1, "status": "testing"}) if request.path == "/api/submissions/1/" else None

        async with scripted(moved, finish, rest=Rest(first=also)) as server:
            done = await watch(command, server)
            status = await command("status", "1", "--server", server.url)
        check_all_seen(done, server, connects=2)
        assert status.code == 0, status
        assert server.connects[1].path == "/ws/elsewhere"
        assert {request.headers["authorization"] for request in server.requests} == {
            f"Bearer {command.env['SUBCLI_TOKEN']}"
        }


@row
async def locations_that_are_no_addresses(command: Commands) -> None:
    """A Location that cannot be read is a redirect to nowhere, not a fault of ours."""
    for location in ("http://[", "ws://[::1", "javascript:alert(1)", "//", "http://127.0.0.1:99999/"):
        answer = Answer(307, None, {"Location": location})
        rest = Rest(first=lambda request, answer=answer: answer)
        async with scripted(refusing(307, Location=location), rest=rest) as server:
            done = await watch(command, server, "--max-attempts", "0")
            status = await command("status", "1", "--server", server.url)
        assert (done.code, status.code) == (6, 6), (location, done, status)


# -- who are you, what do you want ------------------------------------------------------------------


@row
async def unauthorized_4003(command: Commands) -> None:
    """4003 with a token that cannot be renewed: exit 4 at once, and what to set."""
    async with scripted(closing(4003, "expired")) as server:
        done = await watch(command, server)
    check_failed(done, 4, "auth", "expired", "SUBCLI_TOKEN")
    assert len(server.connects) == 1


@row
async def unauthorized_401(command: Commands) -> None:
    """A handshake answered 401 is the same."""
    async with scripted(refusing(401)) as server:
        done = await watch(command, server)
    check_failed(done, 4, "auth", "SUBCLI_TOKEN")
    assert len(server.connects) == 1


@row
async def forbidden_403_asks_rest(command: Commands) -> None:
    """A handshake answered 403: REST says what it means. 401: exit 4; 404: exit 5; 200: retried, then polled."""
    for status, code, kind in ((401, 4, "auth"), (404, 5, "not_found")):
        async with scripted(refusing(403), rest=refusing_rest(status)) as server:
            done = await watch(command, server)
        check_failed(done, code, kind)
        assert len(server.connects) == 1
    async with scripted(refusing(403), rest=polled("passed", 2)) as server:
        done = await watch(command, server, "--max-attempts", "1")
    assert done.code == 0, done
    assert len(server.connects) == 2


@row
async def not_found_4004(command: Commands) -> None:
    """4004 and a handshake answered 404: exit 5 at once."""
    for script in (closing(4004, "gone"), refusing(404)):
        async with scripted(script) as server:
            done = await watch(command, server)
        check_failed(done, 5, "not_found", "subcli list")
        assert len(server.connects) == 1
        assert done.ended - server.connects[0].at < SLACK_S


@row
async def limited_4029(command: Commands) -> None:
    """4029: the wait that the reason names, announced beforehand, and then on."""
    async with scripted(closing(4029, "too many connects; retry_after=4", upto=3), finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    check_backoff(server.gaps[0], 1, at_least=4)
    again = next(line for line in done.of("connection") if line["state"] == "reconnecting")
    assert (again["code"], again["delay_s"]) == (4029, 4)


@row
async def limited_429(command: Commands) -> None:
    """429 in the handshake: Retry-After as seconds and as a date."""
    async with scripted(refusing(429, Retry_After="3"), finish) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    check_backoff(server.gaps[0], 1, at_least=3)

    async def dated(wire: Wire) -> None:
        await wire.refuse(429, Retry_After=formatdate(time.time() + 5, usegmt=True))

    async with scripted(dated, finish) as server:
        done = await command("watch", "1", "--plain", "--server", server.url)
    assert done.code == 0
    assert 3.5 <= server.gaps[0] <= 5 + SLACK_S
    assert " in " in done.err, "the wait is said"


@row
async def limited_for_ever(command: Commands) -> None:
    """Limited beyond the attempts: exit 8. No wait is longer than five minutes, whatever the server says."""
    async with scripted(closing(4029, "retry_after=1")) as server:
        done = await watch(command, server, "--max-attempts", "1")
    check_failed(done, 8, "rate_limited")
    assert len(server.connects) == 2
    async with scripted(closing(4029, "retry_after=999999")) as server:
        done = await watch(command, server, "--timeout", "3")
    assert done.code == 7
    assert max(line.get("delay_s", 0) for line in done.of("connection")) == 300


async def fatal(code: int, command: Commands) -> None:
    """Codes that no retry cures: exit 6 at once, with code and reason."""
    async with scripted(closing(code, "this and that", upto=2)) as server:
        done = await watch(command, server)
    check_failed(done, 6, "server", str(code), "this and that")
    assert len(server.connects) == 1
    assert done.seqs == [1, 2]


for _code in (1002, 1003, 1007, 1008, 1010, 4500, 4999):
    row(functools.wraps(fatal)(functools.partial(fatal, _code)))


# -- frames -----------------------------------------------------------------------------------------


@row
async def frame_beyond_a_mebibyte(command: Commands) -> None:
    """A frame over 1 MiB is refused with 1009; a second time at the same place the socket is given up."""
    closes: list[bytes] = []

    async def huge(wire: Wire) -> None:
        await some(2)(wire)
        await wire.frame(TEXT, b'{"type":"test_result","x":"' + b"x" * (1 << 20) + b'"}')
        while not closes or len(closes) < len(server.connects):
            opcode, payload = await wire.read()
            if opcode == CLOSE:
                closes.append(payload[:2])

    def first(request: Request) -> Answer | None:
        # The log has the verdict only once the socket was given up.
        is_log = request.path == "/api/submissions/1/events"
        return Answer(200, {"events": LOG[2:]}) if is_log and len(server.connects) == 2 and len(closes) == 2 else None

    async with scripted(huge, rest=Rest(first=first)) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=2)
    assert closes == [b"\x03\xf1"] * 2


@row
async def frame_of_a_mebibyte(command: Commands) -> None:
    """A frame of exactly 1 MiB is read."""

    async def large(wire: Wire) -> None:
        await some(3)(wire)
        head, tail = b'{"type":"note","seq":4,"x":"', b'"}'
        await wire.frame(TEXT, head + b"x" * ((1 << 20) - len(head) - len(tail)) + tail)
        await wire.text(LOG[4], LOG[5])
        await wire.close(1000)

    async with scripted(large) as server:
        check_all_seen(await watch(command, server), server, connects=1)


NONSENSE = [
    "{",
    "[]",
    "null",
    '"text"',
    "{}",
    '{"type": 7}',
    "[" * 100_000,
    '{"type":"test_result","submission_id":1,"seq":4}',
    '{"type":"complete","submission_id":1,"seq":4}',
    '{"type":"complete","submission_id":2,"seq":4,"final_status":"failed"}',
    '{"type":"status_update","submission_id":"2","seq":4,"status":"failed"}',
]


@row
async def nonsense_is_passed_over(command: Commands) -> None:
    """Bad JSON, binary frames, another submission's messages and incomplete ones are passed over."""

    async def babbling(wire: Wire) -> None:
        await some(3)(wire)
        await wire.text(*NONSENSE)
        await wire.frame(BINARY, b"\x00\xff")
        await wire.text(*LOG[3:])
        await wire.close(1000)

    async with scripted(babbling) as server:
        check_all_seen(await watch(command, server), server, connects=1)


@row
async def nothing_but_nonsense(command: Commands) -> None:
    """Twenty bad frames in a row: the socket is given up; nineteen are borne."""

    async def babbling(wire: Wire) -> None:
        await some(1)(wire)
        for _ in range(19):
            await wire.frame(BINARY, b"\x00")
        await wire.text(LOG[1])
        for _ in range(20):
            await wire.text("nonsense")
        await wire.stay()

    async with scripted(babbling, rest=Rest(log=LOG)) as server:
        done = await watch(command, server)
    check_all_seen(done, server, connects=1)
    assert "polling" in done.states()


@row
async def broken_protocol(command: Commands) -> None:
    """Bytes that break RFC 6455 on the way are a broken connection: on it goes, by another one or by REST."""
    for broken in (b"\xf1\x00", b"\x81\x85abcde", b"\x81\x02\xff\xfe", b"\x88\x01\x00"):

        async def break_it(wire: Wire, broken: bytes = broken) -> None:
            await some(3)(wire)
            await wire.raw(broken)
            await wire.stay()

        async with scripted(break_it, finish) as server:
            done = await watch(command, server)
        check_all_seen(done, server, connects=2)


@row
async def fragments_and_dribble(command: Commands) -> None:
    """A message in fragments, and bytes one by one, are read like any other."""

    async def dribble(wire: Wire) -> None:
        await some(3)(wire)
        whole = b'{"type":"note","seq":4,"submission_id":1}'
        await wire.frame(TEXT, whole[:7], fin=False)
        await wire.frame(0, whole[7:20], fin=False)
        await wire.frame(9, b"a ping in between")
        await wire.frame(0, whole[20:])
        for byte in b"\x81\x29" + b'{"type":"note","seq":5,"submission_id":1}':
            await wire.raw(bytes([byte]))
            await asyncio.sleep(0.002)
        await wire.text(LOG[5])
        await wire.close(1000)

    async with scripted(dribble) as server:
        check_all_seen(await watch(command, server), server, connects=1)


@row
async def duplicates_and_holes(command: Commands) -> None:
    """What comes twice or late is shown once; what is missing is fetched, and everything is in order."""

    async def disordered(wire: Wire) -> None:
        await wire.accept()
        await wire.text(LOG[0], LOG[0], LOG[3], LOG[1], LOG[3], LOG[2], LOG[4], LOG[0], LOG[5], LOG[5])
        await wire.close(1000)

    async with scripted(disordered, rest=Rest(log=LOG[:4])) as server:
        check_all_seen(await watch(command, server), server, connects=1)
    asked = [request.query("after_seq") for request in server.asked("GET", "/api/submissions/1/events")]
    assert asked == ["1"]


@row
async def hostile_ids_and_types(command: Commands) -> None:
    """An unknown type passes through with all its fields; a verdict nobody knows counts as failed."""

    async def strange(wire: Wire) -> None:
        await wire.accept()
        await wire.text(event(1, "hint", words=["a"], deep={"x": [1, None]}), event(2, "complete", final_status="odd"))
        await wire.close(1000)

    async with scripted(strange) as server:
        done = await watch(command, server)
    assert done.code == 1
    assert done.of("hint")[0]["deep"] == {"x": [1, None]}
    assert done.last["final_status"] == "odd"


# -- nothing there ----------------------------------------------------------------------------------


@row
async def nobody_ever_answered(command: Commands) -> None:
    """Nothing listens: one more try after a second, then exit 6 with the address and what to do."""
    async with scripted(finish) as server:
        pass
    done = await watch(command, server)
    check_failed(done, 6, "network", f"127.0.0.1:{server.port}", "--server", "subcli serve")
    assert 1.0 <= done.took <= 4 + 2 * SLACK_S
    assert done.states() == ["connecting", "reconnecting", "closed"]


@row
async def rest_hangs_and_the_socket_works(command: Commands) -> None:
    """REST that never answers does not keep the events of a good socket back for long."""
    async with scripted(finish, rest=Rest(first=lambda request: Answer(hang=True))) as server:
        done = await watch(command, server)
    assert done.code == 0
    assert done.ended - server.connects[0].at < 8 + SLACK_S


@row
async def proxy_blocks_the_socket(command: Commands) -> None:
    """A proxy that lets REST through and no WebSocket: the verdict comes by polling."""
    tunnels, refused_at = 0, 0.0

    def first(request: Request) -> Answer | None:
        nonlocal tunnels, refused_at
        if request.method == "CONNECT":
            tunnels, refused_at = tunnels + 1, time.monotonic()
            return Answer(405, {"detail": "no tunnels here"})
        if tunnels == 2 and time.monotonic() - refused_at > 1 and request.path == "/api/submissions/1":
            return Answer(200, {"id": 1, "status": "completed", "final_status": "passed"})
        return None

    async with scripted(rest=Rest(features=None, first=first)) as proxy:
        done = await command(
            "watch", "1", "--json", "--insecure-http", "--server", "http://judge.example", env=through(proxy)
        )
    assert done.code == 0, done
    assert tunnels == 2
    assert proxy.asked("GET", "/api/submissions/1")


@row
async def proxy_wants_credentials(command: Commands) -> None:
    """407: exit 6 at once, by socket and by REST; the credentials that were sent are not printed."""
    async with scripted(rest=lambda request: Answer(407, None, {"Proxy-Authenticate": "Basic"})) as proxy:
        for words in (("watch", "1"), ("status", "1"), ("submit", "a.py", "--problem", "1")):
            (command.cwd / "a.py").write_text("pass")
            done = await command(
                *words, "--json", "--insecure-http", "--server", "http://judge.example", env=through(proxy)
            )
            assert done.code == 6, done
            assert "407" in done.last["error"]["message"]
            assert done.took < 4 + 2 * SLACK_S
    assert all("proxy-authorization" in request.headers for request in proxy.requests)


def through(proxy: Server) -> dict[str, str]:
    """Variables that name a scripted server as proxy, with the planted credentials."""
    from .conftest import CANARIES

    url = f"http://{CANARIES['proxy user']}:{CANARIES['proxy password']}@127.0.0.1:{proxy.port}"
    return dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), url)


@row
async def unusable_proxies(command: Commands) -> None:
    """A proxy setting that cannot be used is named, without its password: exit 6."""
    from .conftest import CANARIES

    secret = CANARIES["proxy password"]
    for url in (f"socks5://me:{secret}@127.0.0.1:9", f"gopher://me:{secret}@127.0.0.1:9", f"http://me:{secret}@[::1"):
        variables = {"HTTP_PROXY": url, "HTTPS_PROXY": url}
        for words in (("watch", "1"), ("status", "1")):
            done = await command(
                *words, "--json", "--debug", "--insecure-http", "--server", "http://judge.example", env=variables
            )
            check_failed(done, 6, "network", "proxy")


# -- staying within the limits ----------------------------------------------------------------------


@row
async def timeout_counts_everything(command: Commands) -> None:
    """--timeout ends a watch, a submit, and a submit whose POST hangs, within half a second: exit 7."""
    (command.cwd / "b.py").write_text("pass")
    async with scripted(some(1, staying)) as server:
        at = ("--json", "--timeout", "2", "--server", server.url)
        watched = await command("watch", "1", *at)
        submitted = await command("submit", "b.py", "--problem", "1", *at)
    check_failed(watched, 7, "timeout", "subcli watch 1")
    check_failed(submitted, 7, "timeout", "subcli watch 1")
    hanging = Rest(first=lambda request: Answer(hang=True) if request.method == "POST" else None)
    async with scripted(rest=hanging) as server:
        hung = await command("submit", "b.py", "--problem", "1", "--json", "--timeout", "2", "--server", server.url)
    check_failed(hung, 7, "timeout", "subcli list")
    for done in (watched, submitted, hung):
        assert 2 <= done.took <= 4 + 2 * SLACK_S


@row
async def a_flood_is_survived(command: Commands) -> None:
    """Ten thousand events in one go are all shown, and a ping in between is answered."""
    many = [event(seq, "test_result", test_name=f"t{seq}", status="passed") for seq in range(1, 10_001)]
    ponged = False

    async def flood(wire: Wire) -> None:
        nonlocal ponged
        await wire.accept()
        await wire.text(*many[:5000], "ping", *many[5000:])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while not ponged:
                    ponged = await wire.read() == (TEXT, b"pong")
        await wire.text(event(10_001, "complete", final_status="passed"))
        await wire.close(1000)

    async with scripted(flood) as server:
        done = await watch(command, server)
    assert done.code == 0
    assert done.seqs == list(range(1, 10_002))
    assert ponged
