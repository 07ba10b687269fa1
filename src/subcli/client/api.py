"""The REST half, over an httpx client handed in (contract, section 6).

:meth:`Api.ask` sends one request and raises :class:`RequestFailed` with what the recovery machine wants to
hear; :meth:`Api.insist` repeats as :func:`subcli.core.rest_retry.repeat_request` decides.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from subcli.client.auth import Authenticator
from subcli.client.bodies import Info as Info
from subcli.client.bodies import Json, as_info, as_list, as_object, as_token, sentence
from subcli.client.network import proxy_wants_credentials, retry_after, unreached, untrusted
from subcli.core.backoff import MAX_ATTEMPTS
from subcli.core.errors import NetworkError, SubcliError, unauthorized
from subcli.core.inputs import Blocked, RestFailed
from subcli.core.rest_retry import repeat_request
from subcli.shared.secret import Secret, redact
from subcli.shared.urls import redirect_target

T = TypeVar("T")
EVENTS_PAGE: Final = 1000
REDIRECTS_MAX: Final = 3
REASON_MAX: Final = 500

BAD_REDIRECT: Final = 310
"""Stands for the status of an answer that redirects without end, or to no address."""

REQUEST_S: Final = 30.0
"""One request takes no longer, however slowly its answer drips."""

BODY_MAX_BYTES: Final = 64 * 1024 * 1024
"""The largest answer that is read: a page of events of 64 KiB each is not larger."""

_log = logging.getLogger("subcli.http")


Wait: TypeAlias = Callable[[float, str], Awaitable[None]]
"""Waits so many seconds, and may tell the user why."""


async def just_wait(seconds: float, reason: str) -> None:
    """Wait, and say nothing."""
    await asyncio.sleep(seconds)


class RequestFailed(Exception):
    """A request did not bring what was asked for. ``happened`` says how."""

    def __init__(self, happened: RestFailed | Blocked) -> None:
        super().__init__(happened)
        self.happened = happened


class _Answer(msgspec.Struct, frozen=True):
    """An HTTP answer, read to its end."""

    status: int
    phrase: str
    headers: httpx.Headers
    content: bytes

    @property
    def location(self) -> str | None:
        """Where it redirects to."""
        return self.headers.get("Location") if self.status in (301, 302, 303, 307, 308) else None


class Api:
    """The calls of one server.

    Args:
        client: the httpx client to send with; it follows no redirects.
        base: server and ``api_path``, without a slash at the end.
        authenticator: gives the token.
        max_attempts: repeats of a request that may succeed later.
        wait: waits before a request is repeated.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base: str,
        authenticator: Authenticator,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        wait: Wait = just_wait,
    ) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._authenticator = authenticator
        self._max_attempts = max_attempts
        self._wait = wait
        self._info: Info | None = None
        self._answered = False

    # -- the calls --------------------------------------------------------------------------------

    async def info(self) -> Info:
        """What the server is and can do; asked once.

        Raises:
            RequestFailed: it did not answer. A 404 is an answer: no features; so is a page for people.
        """
        if self._info is None:
            try:
                self._info = await self.ask("GET", "/info", shape=as_info)
            except RequestFailed as failed:
                if not _has_no_info(failed.happened):
                    raise
                self._info = Info()
        return self._info

    async def insist_info(self) -> Info:
        """As :meth:`info`, for a command that cannot go on without the server.

        Raises:
            SubcliError: nobody answered.
        """
        return await self._insist(self.info, repeatable=True)

    async def submission(self, submission_id: int) -> Json:
        """The snapshot of one submission."""
        return await self.ask("GET", f"/submissions/{submission_id}", shape=as_object)

    async def tests(self, submission_id: int) -> list[Any]:
        """The last result of each test."""
        return await self.ask("GET", f"/submissions/{submission_id}/tests", shape=as_list)

    async def insist_submission(self, submission_id: int) -> Json:
        """As :meth:`submission`; raises :class:`SubcliError` where there is none."""
        return await self.insist("GET", f"/submissions/{submission_id}", shape=as_object)

    async def insist_tests(self, submission_id: int) -> list[Any]:
        """As :meth:`tests`; raises :class:`SubcliError` where there is none."""
        return await self.insist("GET", f"/submissions/{submission_id}/tests", shape=as_list)

    async def events(self, submission_id: int, after_seq: int) -> list[Any]:
        """The event log after ``after_seq``, all of it."""
        log: list[Any] = []
        while True:
            page = await self.ask(
                "GET",
                f"/submissions/{submission_id}/events",
                shape=as_list,
                params={"after_seq": after_seq, "limit": EVENTS_PAGE},
            )
            log.extend(page)
            last = page[-1].get("seq") if page and isinstance(page[-1], dict) else None
            if len(page) < EVENTS_PAGE or not isinstance(last, int) or last <= after_seq:
                return log
            after_seq = last

    async def submit(self, body: Mapping[str, Any], *, key: str) -> Json:
        """Hand code in. Repeats only where a repeat cannot make a twin.

        Args:
            body: ``problem`` or ``problem_id``, ``language``, ``source_code`` or ``files``.
            key: the ``Idempotency-Key``: one for each submission meant.

        Raises:
            SubcliError: it was refused, or nobody answered.
        """
        headers = {"Idempotency-Key": key}
        return await self.insist(
            "POST", "/submissions", shape=as_object, if_feature="idempotency", json=body, headers=headers
        )

    async def submissions(self, *, limit: int, problem: str | None = None) -> list[Any]:
        """Recent submissions, newest first."""
        params: dict[str, Any] = {"limit": limit}
        if problem is not None:
            params["problem"] = problem
        return await self.insist("GET", "/submissions", shape=as_list, params=params)

    async def cancel(self, submission_id: int) -> Json:
        """Stop judging a submission. To ask for it twice does no harm.

        Raises:
            SubcliError: there is no such submission, or it has its verdict already.
        """
        path = f"/submissions/{submission_id}/cancel"
        return await self._insist(lambda: self.ask("POST", path, shape=as_object), repeatable=True)

    async def problems(self) -> list[Any]:
        """The problems there are."""
        return await self.insist("GET", "/problems", shape=as_list)

    async def watch_token(self, submission_id: int) -> Secret:
        """A token for one socket of this submission, good for a minute (contract, section 6)."""
        return await self.ask("POST", f"/submissions/{submission_id}/watch-token", shape=as_token)

    async def me(self) -> Json:
        """Who the token belongs to."""
        return await self.ask("GET", "/auth/me", shape=as_object)

    async def insist_me(self) -> Json:
        """As :meth:`me`, with one renewal of the token.

        Raises:
            AuthError: the token is not accepted.
            RequestFailed: whatever else.
        """
        try:
            return await self.me()
        except RequestFailed as failed:
            if not isinstance(failed.happened, RestFailed) or failed.happened.status not in (401, 403):
                raise
            reason = failed.happened.reason
        again = await self._authenticator.refresh()
        if not again.ok:
            raise unauthorized(reason, again.hint)
        return await self.me()

    async def problem(self, name: str) -> Json:
        """One problem, by id or slug."""
        return await self.insist("GET", f"/problems/{quote(name, safe='')}", shape=as_object)

    async def template(self, name: str, language: str) -> Json:
        """What a new solution of a problem starts from."""
        path = f"/problems/{quote(name, safe='')}/template/{quote(language, safe='')}"
        return await self.insist("GET", path, shape=as_object)

    # -- sending ----------------------------------------------------------------------------------

    async def insist(
        self,
        method: str,
        path: str,
        *,
        shape: Callable[[Any], T],
        if_feature: str | None = None,
        **options: Any,
    ) -> T:
        """Send a request until it is answered, refused for good, or the attempts are used up.

        Args:
            if_feature: the feature that makes it harmless to repeat what is not a GET.
            options: for httpx.

        Raises:
            SubcliError: what ended it.
        """
        return await self._insist(
            lambda: self.ask(method, path, shape=shape, **options), repeatable=method == "GET", if_feature=if_feature
        )

    async def _insist(self, send: Callable[[], Awaitable[T]], *, repeatable: bool, if_feature: str | None = None) -> T:
        attempt = 0
        refreshed = False
        while True:
            attempt += 1
            try:
                return await send()
            except RequestFailed as failed:
                happened = failed.happened
            if isinstance(happened, Blocked):
                raise NetworkError(happened.reason, hint=happened.hint)
            if happened.status == 401 and not refreshed:
                refreshed = True
                again = await self._authenticator.refresh()
                if not again.ok:
                    raise unauthorized(happened.reason, again.hint)
                continue
            if not repeatable and if_feature and (happened.status is None or happened.status >= 500) and self._answered:
                repeatable = await self._has(if_feature)
            decision = repeat_request(
                happened,
                attempt=attempt,
                answered=self._answered,
                repeatable=repeatable,
                max_attempts=self._max_attempts,
                random=random.random(),
            )
            if isinstance(decision, SubcliError):
                raise decision
            await self._wait(decision, happened.reason)

    async def _has(self, feature: str) -> bool:
        try:
            return feature in (await self.info()).features
        except RequestFailed:
            return False

    async def ask(self, method: str, path: str, *, shape: Callable[[Any], T], **options: Any) -> T:
        """Send one request and give back its decoded JSON body in the shape wanted.

        Raises:
            RequestFailed: no answer, or one that is not 2xx with JSON of that shape.
        """
        url = self._base + path
        for _ in range(REDIRECTS_MAX + 1):
            answer = await self._send(method, url, **options)
            if answer.location is None or (method != "GET" and answer.status not in (307, 308)):
                return self._shaped(shape, answer)
            target = redirect_target(url, answer.location)
            if target is None:
                raise RequestFailed(RestFailed(answer.status, "a redirect that leaves the server is not followed"))
            url = target
        raise RequestFailed(RestFailed(BAD_REDIRECT, "too many redirects"))

    async def _send(self, method: str, url: str, **options: Any) -> _Answer:
        token = self._authenticator.token()
        headers = dict(options.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        status: int | str = "no answer"
        try:
            async with asyncio.timeout(REQUEST_S):
                async with self._client.stream(method, url, headers=headers, **options) as response:
                    self._answered = True
                    status = response.status_code
                    answer = _Answer(status, response.reason_phrase, response.headers, await _read(response))
        except TimeoutError:
            raise RequestFailed(RestFailed(None, f"no whole answer within {REQUEST_S:g} s")) from None
        except httpx.ProxyError as error:
            raise RequestFailed(
                proxy_wants_credentials() if "407" in str(error) else RestFailed(None, "the proxy did not connect us")
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise RequestFailed(self._unanswered(error, url)) from None
        finally:
            _log.debug("%s %s %s", method, url, status)
        if answer.status == 407:
            raise RequestFailed(proxy_wants_credentials())
        return answer

    def _unanswered(self, error: Exception, url: str) -> RestFailed | Blocked:
        """What it means that httpx raised this."""
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL) or "location header" in str(error):
            # httpx reads a Location whether or not it is to follow it. Our own address was checked before.
            return RestFailed(BAD_REDIRECT, "a redirect that leads nowhere")
        address = httpx.URL(url).netloc.decode()
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return untrusted(cause, address)
        if isinstance(error, httpx.TimeoutException):
            cause = TimeoutError()
        # Whatever came after the connection stood has reached the server: what it did there is not known.
        if isinstance(error, httpx.ReadTimeout | httpx.RemoteProtocolError | httpx.ReadError):
            self._answered = True
        return RestFailed(None, unreached(cause or error, address))

    def _shaped(self, shape: Callable[[Any], T], answer: _Answer) -> T:
        try:
            return shape(self._body(answer))
        except ValueError as error:
            raise RequestFailed(RestFailed(answer.status, str(error))) from None

    def _body(self, answer: _Answer) -> Any:
        status = answer.status
        try:
            body = msgspec.json.decode(answer.content) if answer.content else {}
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            body = None
        if not 200 <= status < 300:
            reason = sentence(body) or f"HTTP {status} {answer.phrase}".strip()
            told = retry_after(answer.headers.get("Retry-After"))
            if told is None and isinstance(body, dict) and isinstance(body.get("retry_after"), int | float):
                told = float(body["retry_after"])
            # A server may repeat what it was sent; the token is not shown all the same.
            reason = redact(reason, self._authenticator.token() or Secret(""))
            raise RequestFailed(RestFailed(status, reason[:REASON_MAX], told))
        if body is None:
            raise RequestFailed(RestFailed(status, "the answer is not JSON"))
        return body


async def _read(response: httpx.Response) -> bytes:
    """The body, if it is of a size that a server would send.

    Raises:
        RequestFailed: it is not.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > BODY_MAX_BYTES:
            raise RequestFailed(RestFailed(response.status_code, "the answer is too large"))
        chunks.append(chunk)
    return b"".join(chunks)


def _has_no_info(happened: RestFailed | Blocked) -> bool:
    """Whether a server gave an answer to ``/info`` from which it follows that it has none."""
    if isinstance(happened, Blocked) or happened.status is None:
        return False
    return (happened.status < 500 and happened.status not in (401, 429)) or happened.status == 501
