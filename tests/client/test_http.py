"""Sending and retrying a request: what is repeated, what is not, and what an error says."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from subcli.client.api import Api, ServerInfo, as_list, as_object
from subcli.client.body import MAX_BODY_BYTES, MAX_VALUES, BoundedTransport
from subcli.client.exchange import RequestFailed
from subcli.client.http import MAX_REASON_LENGTH, MAX_REDIRECTS, Requester
from subcli.core.errors import AuthError, NetworkError, NotFoundError, RateLimitedError, ServerError, SubcliError
from subcli.core.inputs import Refreshed, RestFailed
from subcli.settings.proxies import read_proxies
from subcli.shared.secret import Secret

BASE = "http://judge.example/api"
TOKEN = "a-token-of-somebody"
PROXY = read_proxies({"HTTP_PROXY": "http://proxy.example:3128"}).decide(BASE)

Answer = httpx.Response | Exception
Handler = Callable[[httpx.Request], Answer]


class Login:
    """A token, and as many new ones as a test allows."""

    def __init__(self, renewals: int = 0) -> None:
        self.renewals = renewals
        self.refreshed = 0

    def token(self) -> Secret | None:
        return Secret(f"{TOKEN}-{self.refreshed}")

    async def refresh(self, refused: Secret | None) -> Refreshed:
        assert refused == self.token()
        if self.refreshed >= self.renewals:
            return Refreshed(False, "Log in again.")
        self.refreshed += 1
        return Refreshed(True)


class Trial:
    """An API over a handler, with the requests that reached it and the waits between them."""

    def __init__(self, handler: Handler, *, max_attempts: int = 2, renewals: int = 0) -> None:
        self.requests: list[httpx.Request] = []
        self.waits: list[tuple[float, str]] = []
        self.login = Login(renewals)

        def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            answer = handler(request)
            if isinstance(answer, Exception):
                raise answer
            return answer

        self.client = httpx.AsyncClient(transport=BoundedTransport(httpx.MockTransport(handle)))
        options: dict[str, Any] = {"max_attempts": max_attempts, "wait": self._wait, "proxy": PROXY}
        self.api = Api(self.client, BASE, self.login, **options)
        self.http = Requester(self.client, f"{BASE}/", self.login, **options)

    async def _wait(self, seconds: float, reason: str, asked: bool) -> None:
        self.waits.append((seconds, reason))

    @property
    def paths(self) -> list[str]:
        """The paths requested, below the base."""
        return [request.url.path.removeprefix("/api") for request in self.requests]


def answering(*answers: Answer) -> Handler:
    """Gives these answers in turn, the last one for ever."""
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def ok(body: object = None) -> httpx.Response:
    """A good answer."""
    return httpx.Response(200, json={} if body is None else body)


async def failure(*answers: Answer, decode: Callable[[Any], Any] = as_object) -> RequestFailed:
    """How one request fails that is answered so."""
    with pytest.raises(RequestFailed) as caught:
        await Trial(answering(*answers)).http.request("GET", "/x", decode=decode)
    return caught.value


# -- one request ---------------------------------------------------------------------------------------


async def test_request_carries_the_token() -> None:
    """The current one, each time."""
    trial = Trial(answering(ok()))
    await trial.http.request("GET", "/x", decode=as_object, params={"limit": 3}, headers={"X-Y": "z"})
    request = trial.requests[0]
    assert str(request.url) == f"{BASE}/x?limit=3"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}-0"
    assert request.headers["X-Y"] == "z"


@pytest.mark.parametrize(
    ("response", "status", "reason"),
    [
        (httpx.Response(404, json={"detail": "no such thing"}), 404, "no such thing"),
        (httpx.Response(422, json={"detail": [{"msg": "too long"}, {"msg": "too odd"}, 3]}), 422, "too long; too odd"),
        (httpx.Response(400, json={"detail": {"message": "not so"}}), 400, "not so"),
        (httpx.Response(500, text="<html>"), 500, "HTTP 500 Internal Server Error"),
        (httpx.Response(204), None, None),
    ],
)
async def test_reason_of_a_failure(response: httpx.Response, status: int | None, reason: str | None) -> None:
    """The server's own sentence where it gives one."""
    if status is None:
        assert await Trial(answering(response)).http.request("GET", "/x", decode=as_object) == {}
        return
    failed = await failure(response)
    page = status == 500
    assert (failed.status, failed.reason, failed.input) == (status, reason, RestFailed(status, reason or "", page=page))
    assert (failed.blocked, failed.hint, str(failed)) == (False, "", reason)


async def test_reason_is_short_and_without_secrets() -> None:
    """A server may repeat the token it was sent, and the whole request as well."""
    failed = await failure(httpx.Response(400, json={"detail": f"bad token {TOKEN}-0 " + "x" * 1000}))
    assert TOKEN not in failed.reason
    assert len(failed.reason) == MAX_REASON_LENGTH


@pytest.mark.parametrize(
    ("headers", "body", "retry_after_s"),
    [
        ({"Retry-After": "7"}, {"retry_after": 3}, 7.0),
        ({}, {"retry_after": 3}, 3.0),
        ({"Retry-After": "soon"}, {"retry_after": "3"}, None),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, {}, 0.0),
        (
            {"Retry-After": "Thu, 01 Jan 1970 00:01:40 GMT", "Date": "Thu, 01 Jan 1970 00:00:10 GMT"},
            {},
            90.0,
        ),
        (
            {"Retry-After": "Fri, 01 Jan 2100 00:00:07 GMT", "Date": "Fri, 01 Jan 2100 00:00:00 GMT"},
            {},
            7.0,
        ),
    ],
)
async def test_retry_after(headers: dict[str, str], body: dict[str, Any], retry_after_s: float | None) -> None:
    """In the header, else in the body; anything else counts as absent."""
    assert (await failure(httpx.Response(429, json=body, headers=headers))).retry_after_s == retry_after_s


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("refused"), f"judge.example, through {PROXY}, refused the connection"),
        (httpx.ConnectTimeout(""), f"judge.example, through {PROXY}, did not answer in time"),
        (httpx.RemoteProtocolError("Server disconnected"), f"judge.example, through {PROXY}, cut the connection"),
        (httpx.RemoteProtocolError("illegal status line"), f"judge.example, through {PROXY}, does not speak HTTP"),
        (
            httpx.ProxyError("503 no"),
            "the proxy proxy.example:3128 (from HTTP_PROXY) refused to connect to judge.example: HTTP 503 no",
        ),
        (httpx.ProxyError("garbage"), "the proxy proxy.example:3128 (from HTTP_PROXY) did not open a tunnel"),
    ],
)
async def test_no_response(error: httpx.HTTPError, words: str) -> None:
    """Causes in words, without the library's own text."""
    failed = await failure(error)
    assert failed.reason.startswith(words)
    assert not failed.blocked


@pytest.mark.parametrize("answer", [httpx.ProxyError("407 Proxy Authentication Required"), httpx.Response(407)])
async def test_proxy_that_requires_credentials_blocks(answer: Answer) -> None:
    """Whether the tunnel or the proxy itself says so; retrying cannot help."""
    failed = await failure(answer)
    assert (failed.blocked, failed.status, failed.retry_after_s) == (True, None, None)
    assert "HTTP_PROXY" in failed.hint
    trial = Trial(answering(answer))
    with pytest.raises(NetworkError, match="407"):
        await trial.http.request_with_retry("GET", "/x", decode=as_object)
    assert (len(trial.requests), trial.waits) == (1, [])


async def test_endless_body_is_not_read() -> None:
    """Beyond ``MAX_BODY_BYTES`` the response is given up."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 2**20 + 1):
            yield bytes(2**20)
        raise AssertionError("read on")

    failed = await failure(httpx.Response(200, content=endless()))
    assert failed.reason == "the response is too large"


def gzipped(data: bytes, times: int = 1) -> bytes:
    """``data``, compressed so often."""
    for _ in range(times):
        data = gzip.compress(data, mtime=0)
    return data


def bomb(times: int = 1) -> bytes:
    """What becomes one byte too large."""
    return gzipped(bytes(MAX_BODY_BYTES + 1), times)


def halves() -> bytes:
    """Two members that are too large together."""
    return gzipped(bytes(MAX_BODY_BYTES // 2)) + gzipped(bytes(MAX_BODY_BYTES // 2 + 1))


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize(
    ("encoding", "content", "reason"),
    [
        ("gzip", bomb, "the response is too large"),
        ("gzip", halves, "the response is too large"),
        ("gzip, gzip", lambda: bomb(2), "encoded as 'gzip, gzip'"),
        ("gzip,identity", lambda: gzipped(b"{}"), "encoded as 'gzip,identity'"),
        ("deflate", lambda: zlib.compress(b"{}"), "encoded as 'deflate'"),
        ("br", lambda: b"x", "encoded as 'br'"),
        ("gzip", lambda: b"{}", "claims to be gzip"),
        ("gzip", lambda: gzipped(b"{}")[:-1], "is cut off"),
        ("gzip", lambda: gzipped(b"{}") + b"{}", "claims to be gzip"),
    ],
)
async def test_body_is_bounded_while_it_is_decompressed(
    encoding: str, content: Callable[[], bytes], reason: str
) -> None:
    """A few kilobytes never become gigabytes, in whatever way they are encoded."""
    headers = {"Content-Encoding": encoding}

    data = content()

    async def sent() -> AsyncIterator[bytes]:
        yield data

    tracemalloc.start()
    failed = await failure(httpx.Response(200, headers=headers, content=sent()))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reason in failed.reason
    assert peak_bytes < 1.2 * MAX_BODY_BYTES


async def test_gzip_is_read() -> None:
    """In one member or several, whatever the chunks."""
    data = json.dumps({"log": "x" * 300_000}).encode()
    content = gzipped(data[:7]) + gzipped(b"") + gzipped(data[7:])

    async def sent() -> AsyncIterator[bytes]:
        for position in range(0, len(content), 11):
            yield content[position : position + 11]

    trial = Trial(answering(httpx.Response(200, headers={"Content-Encoding": "GZIP"}, content=sent())))
    assert await trial.http.request("GET", "/x", decode=as_object) == json.loads(data)


@pytest.mark.thorough(measured=True)
@pytest.mark.parametrize("item", [b"{}", b"0", b'"[\\"]"'])
async def test_values_are_counted_before_they_are_parsed(item: bytes) -> None:
    """Two bytes of JSON become sixty bytes of memory."""
    failed = await failure(httpx.Response(200, content=b"[" + b",".join([item] * (MAX_VALUES + 1)) + b"]"))
    assert failed.reason == "the response has too many values"


@pytest.mark.thorough
async def test_text_is_not_counted_as_values() -> None:
    """A log may be long and full of commas."""
    log = r'[,{"\\' * (MAX_VALUES // 2)
    trial = Trial(answering(httpx.Response(200, json={"log": log})))
    assert (await trial.http.request("GET", "/x", decode=as_object))["log"] == log


async def test_redirects_within_the_origin_are_followed() -> None:
    """With the token, and the method where the status keeps it."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/x":
            return httpx.Response(308, headers={"Location": "/api/y"})
        return ok({"method": request.method})

    for method in ("GET", "POST"):
        trial = Trial(handler)
        assert await trial.http.request(method, "/x", decode=as_object) == {"method": method}
        assert trial.paths == ["/x", "/y"]
        assert trial.requests[1].headers["Authorization"] == f"Bearer {TOKEN}-0"


@pytest.mark.parametrize("target", ["https://judge.example/api/x", "http://evil.example/", "//evil.example/"])
async def test_redirects_to_elsewhere_are_not_followed(target: str) -> None:
    """The token goes to the origin only."""
    trial = Trial(answering(httpx.Response(302, headers={"Location": target})))
    with pytest.raises(RequestFailed):
        await trial.http.request("GET", "/x", decode=as_object)
    assert len(trial.requests) == 1


async def test_post_is_not_repeated_by_a_redirect_that_makes_it_a_get() -> None:
    """301 and 302 would."""
    trial = Trial(answering(httpx.Response(302, headers={"Location": "/api/y"})))
    with pytest.raises(RequestFailed) as caught:
        await trial.http.request("POST", "/x", decode=as_object)
    assert "redirects to http://judge.example/api/y" in caught.value.reason
    assert len(trial.requests) == 1


async def test_redirects_in_a_circle_end() -> None:
    """After ``MAX_REDIRECTS``."""
    trial = Trial(answering(httpx.Response(302, headers={"Location": "/api/x"})))
    with pytest.raises(RequestFailed, match="redirects endlessly"):
        await trial.http.request("GET", "/x", decode=as_object)
    assert len(trial.requests) == MAX_REDIRECTS + 1


# -- retrying ------------------------------------------------------------------------------------------


async def test_get_is_repeated_until_it_succeeds() -> None:
    """Each wait is announced with its reason."""
    trial = Trial(answering(httpx.Response(503, json={"detail": "later"}, headers={"Retry-After": "9"}), ok([1])))
    assert await trial.http.request_with_retry("GET", "/x", decode=as_list) == [1]
    assert trial.waits == [(9.0, "later")]


@pytest.mark.parametrize(
    ("answer", "error", "requests"),
    [
        (httpx.Response(404, json={"detail": "no"}), NotFoundError, 1),
        (httpx.Response(429), RateLimitedError, 3),
        (httpx.Response(500), ServerError, 3),
        (httpx.ReadTimeout(""), NetworkError, 3),
        (httpx.ConnectError("refused"), NetworkError, 2),
    ],
)
async def test_get_is_repeated_as_often_as_allowed(answer: Answer, error: type[SubcliError], requests: int) -> None:
    """``max_attempts`` repeats; one where nobody was ever there; none where it is final."""
    trial = Trial(answering(answer), max_attempts=2)
    with pytest.raises(error):
        await trial.http.request_with_retry("GET", "/x", decode=as_list)
    assert len(trial.requests) == requests


async def test_refused_token_is_renewed_once() -> None:
    """The request is repeated with the new one at once; a second refusal is final."""
    trial = Trial(answering(httpx.Response(401), ok()), renewals=5)
    await trial.http.request_with_retry("GET", "/x", decode=as_object)
    assert [request.headers["Authorization"][-1] for request in trial.requests] == ["0", "1"]
    assert trial.waits == []

    trial = Trial(answering(httpx.Response(401, json={"detail": "who?"})), renewals=5)
    with pytest.raises(AuthError, match="who"):
        await trial.http.request_with_retry("GET", "/x", decode=as_object)
    assert (len(trial.requests), trial.login.refreshed) == (2, 1)


async def test_token_that_cannot_be_renewed() -> None:
    """The hint is that of the login."""
    with pytest.raises(AuthError) as caught:
        await Trial(answering(httpx.Response(401))).http.request_with_retry("GET", "/x", decode=as_object)
    assert caught.value.hint == "Log in again."


def submissions(first: Answer, features: list[str] | None) -> Handler:
    """A server whose first answer to a POST is ``first``; without ``features``, ``/info`` fails as well."""
    posts = [first]

    def handler(request: httpx.Request) -> Answer:
        if request.url.path == "/api/info":
            return httpx.Response(503) if features is None else ok({"features": features})
        return posts.pop() if posts else httpx.Response(201, json={"id": 1})

    return handler


@pytest.mark.parametrize("cut", [httpx.ReadTimeout(""), httpx.ReadError(""), httpx.Response(500)])
@pytest.mark.parametrize(("features", "repeated"), [(["idempotency"], True), ([], False), (None, False)])
async def test_submit_is_repeated_only_where_that_is_idempotent(
    cut: Answer, features: list[str] | None, repeated: bool
) -> None:
    """With the same key; elsewhere its effect is unknown, and a second submission would be a ghost twin."""
    trial = Trial(submissions(cut, features))
    if repeated:
        assert await trial.api.submit({"language": "c"}, key="k") == {"id": 1}
    else:
        with pytest.raises(SubcliError) as caught:
            await trial.api.submit({"language": "c"}, key="k")
        assert "subcli list" in caught.value.hint
    posts = [request for request in trial.requests if request.method == "POST"]
    assert [request.headers["Idempotency-Key"] for request in posts] == ["k"] * (2 if repeated else 1)


@pytest.mark.parametrize("status", [429, 503])
async def test_submit_that_was_turned_away_is_repeated_anywhere(status: int) -> None:
    """The server says that it did nothing, so nobody has to ask what it can do."""
    trial = Trial(submissions(httpx.Response(status, headers={"Retry-After": "1"}), []))
    assert await trial.api.submit({}, key="k") == {"id": 1}
    if status == 429:
        assert trial.paths == ["/submissions", "/submissions"]


async def test_server_that_was_never_there_is_not_asked_what_it_can_do() -> None:
    """The one further try after a second is for the submission itself."""
    trial = Trial(answering(httpx.ConnectError("refused")))
    with pytest.raises(NetworkError):
        await trial.api.submit({}, key="k")
    assert trial.paths == ["/submissions", "/submissions"]


async def test_request_of_unknown_effect_is_repeated_if_it_does_no_harm() -> None:
    """A GET and a cancellation are; any other method is not."""
    trial = Trial(answering(httpx.Response(500), ok()))
    assert await trial.api.cancel(7) == {}
    assert trial.paths == ["/submissions/7/cancel"] * 2
    trial = Trial(answering(httpx.Response(500), ok()))
    with pytest.raises(ServerError):
        await trial.http.request_with_retry("POST", "/x", decode=as_object)
    assert len(trial.requests) == 1


# -- calls ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 403, 404, 405, 501])
async def test_server_without_info_has_no_features(status: int) -> None:
    """Neither a refusal nor a page for people is a reason to ask again."""
    trial = Trial(answering(httpx.Response(status, text="<html>")))
    assert await trial.api.info() == ServerInfo()
    assert await trial.api.info() == ServerInfo()
    assert len(trial.requests) == 1


@pytest.mark.parametrize("answer", [httpx.Response(401), httpx.Response(429), httpx.Response(500), httpx.ReadError("")])
async def test_info_that_failed_is_asked_again(answer: Answer) -> None:
    """Nothing is known of the server yet."""
    trial = Trial(answering(answer, ok({"features": ["resume"], "name": "judge", "demo": 1})))
    with pytest.raises(RequestFailed):
        await trial.api.info()
    assert await trial.api.info() == ServerInfo(name="judge", features=frozenset({"resume"}))
    assert (await trial.api.info()).resume


async def test_time_is_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auth token` renews by it: a local clock that is wrong neither keeps an old token nor distrusts every new one."""
    monkeypatch.setattr("time.time", lambda: 2e9)
    answer = httpx.Response(200, json={}, headers={"Date": "Thu, 01 Jan 1970 00:00:10 GMT"})
    assert await Trial(answering(answer)).api.now() == 10
    assert await Trial(answering(httpx.ReadError("cut"))).api.now() == 2e9


async def test_log_of_several_pages() -> None:
    """Pages are fetched as long as they are full and lead on."""
    log = [{"seq": seq} for seq in range(1, 2501)]

    def handler(request: httpx.Request) -> httpx.Response:
        after = int(request.url.params["after_seq"])
        page = log[after : after + int(request.url.params["limit"])]
        return ok({"events": page, "epoch": "e", "last_seq": page[-1]["seq"]})

    trial = Trial(handler)
    assert await trial.api.events(7, 10) == (log[10:], "e", 2500)
    assert len(trial.requests) == 3


async def test_log_that_is_replaced_between_two_pages() -> None:
    """They are not joined: the request fails, and is repeated where a failed one is."""
    first, second = ({"events": [{"seq": seq} for seq in range(1, 1001)], "epoch": epoch} for epoch in "ab")
    trial = Trial(answering(ok(first), ok(second)))
    with pytest.raises(RequestFailed) as failed:
        await trial.api.events(7, 0)
    assert "replaced" in failed.value.reason


async def test_log_of_a_server_that_does_not_name_it() -> None:
    """Older ones give a page, others a bare list."""
    assert await Trial(answering(ok([{"seq": 1}]))).api.events(7, 0) == ([{"seq": 1}], None, None)
    assert await Trial(answering(ok({"events": [], "last_seq": 9}))).api.events(7, 9) == ([], None, 9)


@pytest.mark.parametrize("entry", [{"seq": 1}, {"no": "seq"}, "odd"])
async def test_log_that_does_not_lead_on_ends(entry: object) -> None:
    """A server that gives the same page again would be asked for ever."""
    trial = Trial(answering(ok([entry] * 1000)))
    assert len((await trial.api.events(7, 1)).events) == 1000


@pytest.mark.parametrize("status", [401, 403])
async def test_me_renews_the_token_once(status: int) -> None:
    """Whichever of the two a server refuses it with; another failure is passed on."""
    trial = Trial(answering(httpx.Response(status), ok({"user": "ada"})), renewals=1)
    assert await trial.api.me_with_refresh() == {"user": "ada"}
    with pytest.raises(AuthError):
        await Trial(answering(httpx.Response(status))).api.me_with_refresh()
    with pytest.raises(RequestFailed):
        await Trial(answering(httpx.Response(404)), renewals=1).api.me_with_refresh()


@pytest.mark.parametrize("name", ["token", "watch_token", "access_token"])
async def test_watch_token(name: str) -> None:
    """By any of its names, and never shown."""
    token = await Trial(answering(ok({name: "secret"}))).api.watch_token(7)
    assert (token, str(token)) == (Secret("secret"), "***")
    with pytest.raises(RequestFailed, match="no token"):
        await Trial(answering(ok({name: ""}))).api.watch_token(7)


async def test_names_are_quoted_in_paths() -> None:
    """A slug with a slash stays one segment."""
    trial = Trial(answering(ok()))
    await trial.api.template("a/b", "c#")
    assert trial.requests[0].url.raw_path == b"/api/problems/a%2Fb/template/c%23"
