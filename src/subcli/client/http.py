"""Requests to one server over a given httpx client: sending and retrying (contract, sections 6 and 7).

:meth:`Requester.request` sends one request and raises :class:`RequestFailed`, which carries what the recovery machine
needs to know. :meth:`Requester.request_with_retry` repeats it as :func:`subcli.core.rest_retry.repeat_request` decides.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeAlias, TypeVar

import httpx

from subcli.client.auth import Authenticator
from subcli.client.body import BodyRefusedError, check_values, decode_json
from subcli.client.exchange import RequestFailed, RequestStage, Response, Wait, wait_silently
from subcli.client.network import (
    describe_failure,
    error_detail,
    page_title,
    parse_retry_after,
    proxy_requires_credentials,
    redirected,
    server_time,
    speaks_https,
    through,
    tls_failure,
    tunnel_refused,
)
from subcli.core.backoff import MAX_ATTEMPTS
from subcli.core.errors import NetworkError, SubcliError, sentence, unauthorized
from subcli.core.inputs import Blocked, RestFailed
from subcli.core.rest_retry import repeat_request
from subcli.settings.proxies import DIRECT, Proxy
from subcli.shared.secret import Secret, redact
from subcli.shared.urls import redirect_target

T = TypeVar("T")
MAX_REDIRECTS: Final = 3
MAX_REASON_LENGTH: Final = 500

REQUEST_TIMEOUT_S: Final = 30.0
"""The limit for one request, however slowly its response drips in."""

_Breach: TypeAlias = Literal["cut", "not_text", "not_http"]
"""How an answer breaks the protocol: it ends too early, begins with a control character, or is something else."""

_NO_TEXT: Final = "illegal request line"
"""httpx's error if the first byte is a control character, as in the alert of a TLS port."""

_CUT: Final = ("Server disconnected", "peer closed connection", "peer unexpectedly closed connection")
"""How the complaints of httpcore and h11 about a connection that ended too early begin. Others quote the answer."""

_UNROUTED: Final = ("Not Found", "HTTP 404")
"""What frameworks answer for an unknown path, and our words if they say nothing."""

_NEVER_A_PAGE: Final = frozenset({404, 405, 501, 505, 511})
"""A judge answers these with JSON; proxies in between have no reason to send them."""

_HTTPS_ONLY: Final = (b"HTTPS port", b"HTTPS server")
"""The answer of nginx, and of servers written in Go, to plain HTTP."""

_RETRY_AFTER_MAX_S: Final = 1e9
"""The maximum that the header can express. JSON numbers may exceed every float."""

_log = logging.getLogger("subcli.http")


class Requester:
    """Sends requests to one server.

    Args:
        client: the httpx client to send with; it must not follow redirects.
        base: server and ``api_path``, without a trailing slash.
        authenticator: supplies the token.
        max_attempts: how often a request that may succeed later is repeated.
        wait: waits before a request is repeated.
        proxy: through which ``client`` sends.
        server: ``base`` without ``api_path``, for messages.

    Attributes:
        clock_ahead_s: how far the local clock is ahead of the server's, by its latest response.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base: str,
        authenticator: Authenticator,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        wait: Wait = wait_silently,
        proxy: Proxy = DIRECT,
        server: str = "",
    ) -> None:
        self._client = client
        self._server = server or base
        self._is_judge = False
        self.clock_ahead_s = 0.0
        self._proxy = proxy
        self._base = base.rstrip("/")
        self._authenticator = authenticator
        self._max_attempts = max_attempts
        self._wait = wait
        self._answered = False

    # -- retrying ---------------------------------------------------------------------------------

    async def request_with_retry(
        self,
        method: str,
        path: str,
        *,
        decode: Callable[[Any], T],
        params: Mapping[str, Any] | None = None,
    ) -> T:
        """As :meth:`request`, repeated until it succeeds, is refused for good, or the attempts are used up.

        A GET is repeated even if its effect on the server is unknown; another method is not (:meth:`retry`).

        Raises:
            SubcliError: what ended it.
        """
        return await self.retry(
            lambda: self.request(method, path, decode=decode, params=params), repeatable=method == "GET"
        )

    async def retry(
        self,
        send: Callable[[], Awaitable[T]],
        *,
        repeatable: bool,
        is_idempotent: Callable[[], Awaitable[bool]] | None = None,
    ) -> T:
        """Call ``send`` until it succeeds, is refused for good, or the attempts are used up.

        Args:
            send: sends the request; raises :class:`RequestFailed`.
            repeatable: repeating it does no harm, even if it may have had an effect already.
            is_idempotent: asks the server whether that is so, where it depends on the server.

        Raises:
            SubcliError: what ended it.
        """
        attempt = 0
        refreshed = False
        while True:
            attempt += 1
            token = self.token()
            try:
                return await send()
            except RequestFailed as error:
                failed = error
            if not isinstance(failed.input, RestFailed):
                raise NetworkError(failed.reason, hint=failed.hint)
            if failed.status == 401 and not refreshed:
                refreshed = await self.refresh(failed.reason, token)
                continue
            effect_unknown = failed.status is None or failed.status >= 500
            if not repeatable and is_idempotent is not None and effect_unknown and self._answered:
                repeatable = await is_idempotent()
            decision = repeat_request(
                failed.input,
                attempt=attempt,
                answered=self._answered,
                repeatable=repeatable,
                max_attempts=self._max_attempts,
                random=random.random(),
            )
            if isinstance(decision, SubcliError):
                raise decision
            await self._wait(decision, failed.reason, failed.status == 429 or failed.retry_after_s is not None)

    def token(self) -> Secret | None:
        """The token that the next request sends, if there is one."""
        return self._authenticator.token()

    async def refresh(self, reason: str, refused: Secret | None) -> bool:
        """Get another token after the server refused ``refused`` for ``reason``.

        Returns:
            whether it was obtained for this; otherwise it was obtained meanwhile.

        Raises:
            AuthError: there is none to be had.
        """
        refreshed = await self._authenticator.refresh(refused)
        if not refreshed.ok:
            raise unauthorized(reason, refreshed.hint)
        return refreshed.renewed

    # -- one request ------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        *,
        decode: Callable[[Any], T],
        params: Mapping[str, Any] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Send one request, follow redirects within the origin, and return the decoded JSON body.

        Args:
            method: of HTTP.
            path: below the base.
            decode: checks the body and gives it its type (see :func:`subcli.client.api.as_object`).
            params: of the query.
            json: the body to send.
            headers: besides the usual ones.

        Raises:
            RequestFailed: there was no response, or one that is not 2xx with such a body.
        """
        url = self._base + path
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._send(method, url, params, json, headers or {})
            if response.location is None:
                try:
                    return self._decode(decode, response)
                except RequestFailed as failed:
                    # Not every judge has `/info`, which is asked first of all.
                    raise failed if path == "/info" else await self._checked(failed) from None
            target = redirect_target(url, response.location)
            if target is None or (method != "GET" and response.status not in (307, 308)):
                raise RequestFailed(redirected(url, response.location, self._server))
            url = target
        at = httpx.URL(url).netloc.decode()
        raise RequestFailed(Blocked(f"{at} redirects endlessly.", "Tell whoever runs the server."))

    async def _send(
        self, method: str, url: str, params: Mapping[str, Any] | None, json: object, headers: Mapping[str, str]
    ) -> Response:
        token = self.token()
        if token:
            headers = {**headers, "Authorization": f"Bearer {token.reveal()}"}
        status: int | str = "no response"
        stage = RequestStage(url.startswith("https:"))
        extensions = {"trace": stage.note} if self._proxy.url is not None else None
        sending = self._client.stream(method, url, headers=headers, params=params, json=json, extensions=extensions)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                async with sending as response:
                    self._answered = True
                    status = response.status_code
                    received = Response(status, response.reason_phrase, response.headers, await response.aread())
            check_values(received.content)
        except TimeoutError:
            raise RequestFailed(RestFailed(None, f"no complete response within {REQUEST_TIMEOUT_S:g} s")) from None
        except BodyRefusedError as error:
            raise RequestFailed(RestFailed(response.status_code, str(error))) from None
        except httpx.ProxyError as error:
            raise RequestFailed(self._no_tunnel(str(error))) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise RequestFailed(self._no_response(error, url, at_proxy=stage.at_proxy)) from None
        finally:
            _log.debug("%s %s %s", method, url, status)
        date = server_time(received.headers.get("Date"))
        if date is not None:
            self.clock_ahead_s = time.time() - date
        if received.status == 407:
            raise RequestFailed(proxy_requires_credentials(self._proxy))
        return received

    def _no_tunnel(self, answer: str) -> RestFailed | Blocked:
        """What the proxy's answer to ``CONNECT`` means, such as ``403 Forbidden``."""
        status, _, phrase = answer.partition(" ")
        if not status.isdecimal():
            return RestFailed(None, f"{self._proxy} did not open a tunnel", hint=self._proxy.hint)
        if status == "407":
            return proxy_requires_credentials(self._proxy)
        reason = tunnel_refused(self._proxy, int(status), phrase)
        if status.startswith("4"):
            return Blocked(f"{sentence(reason)}.", self._proxy.hint)
        return RestFailed(None, reason, hint=f"Check `--server`. {self._proxy.hint}")

    def _no_response(self, error: Exception, url: str, *, at_proxy: bool) -> RestFailed | Blocked:
        """The failure that an exception of httpx means."""
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL) or "location header" in str(error):
            # httpx parses a Location even if it should not follow it. Our own address was checked before.
            return redirected(url, "", self._server)
        address = httpx.URL(url).netloc.decode()
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx.ConnectError) and cause is not None:
            blocked = tls_failure(cause, address, self._proxy if at_proxy else None)
            if blocked is not None:
                return blocked
        if isinstance(error, httpx.TimeoutException):
            cause = TimeoutError()
        breach = _breach(error)
        if at_proxy:
            reason = _reason(breach, cause or error, str(self._proxy))
            return RestFailed(None, reason, hint=self._proxy.hint)
        # Whatever fails once the connection stands may have reached the server: its effect there is unknown.
        if isinstance(error, httpx.ReadTimeout | httpx.RemoteProtocolError | httpx.ReadError):
            self._answered = True
        if breach == "not_text":
            return speaks_https(address)
        # Something that never spoke HTTP will not do so next time.
        foreign = breach == "not_http" and not self._is_judge
        return RestFailed(None, _reason(breach, cause or error, through(self._proxy, address)), foreign=foreign)

    def _decode(self, decode: Callable[[Any], T], response: Response) -> T:
        body = decode_json(response.content)
        if not response.is_success:
            raise RequestFailed(self._refusal(response, body))
        try:
            if body is None:
                raise ValueError("the response is not JSON")
            decoded = decode(body)
        except ValueError as error:
            reason = self._said(response.status, str(error))
            raise RequestFailed(RestFailed(response.status, reason, foreign=True)) from None
        self._is_judge = self._is_judge or bool(body)
        return decoded

    async def _checked(self, failed: RequestFailed) -> RequestFailed:
        """``failed``, with the address if the answer is not a judge's.

        A 404 may also come from a server that has none of our paths at all: one of them settles that.
        """
        refusal = failed.input
        if not isinstance(refusal, RestFailed) or self._is_judge:
            return failed
        if not refusal.foreign and (refusal.status != 404 or not refusal.reason.startswith(_UNROUTED)):
            return failed
        foreign = await self.foreign_answer(refusal.status, refusal.reason)
        return failed if foreign is None else foreign

    async def foreign_answer(self, status: int | None, reason: str) -> RequestFailed | None:
        """The failure of a server that has none of our paths; ``None`` if it is a judge, or that is unknown.

        Args:
            status, reason: of the answer that raised the question.
        """
        for path in ("/info", "/problems"):
            try:
                response = await self._send("GET", self._base + path, None, None, {})
            except RequestFailed:
                return None
            is_page = decode_json(response.content) is None
            away = response.status > 501 and response.status not in _NEVER_A_PAGE
            if away or response.status in (401, 403, 429) or (response.is_success and not is_page):
                self._is_judge = True
                return None
        hint = "Remove the path at the end of `--server`." if self._base.endswith("/api/api") else ""
        return RequestFailed(RestFailed(status, self._said(status, reason), hint=hint, foreign=True))

    def _said(self, status: int | None, reason: str) -> str:
        """Who gave an answer, and what it was."""
        if reason.startswith(self._base):
            return reason
        words = reason if reason.startswith("HTTP ") else f"HTTP {status}: {reason}"
        return f"{self._base} answers {words.rstrip('.')}"

    def _refusal(self, response: Response, body: Any) -> RestFailed | Blocked:
        """The failure that a response outside 2xx means."""
        if response.status == 400 and any(words in response.content for words in _HTTPS_ONLY):
            return speaks_https(httpx.URL(self._base).netloc.decode())
        phrase = page_title(response.content) if body is None else ""
        reason = error_detail(body) or f"HTTP {response.status} {phrase or response.phrase}".strip()
        retry_after_s = parse_retry_after(response.headers)
        if retry_after_s is None and isinstance(body, dict):
            retry_after_s = _seconds(body.get("retry_after"))
        # A server may echo the request; the token is still not shown.
        reason = redact(reason, self._authenticator.token() or Secret(""))
        page = body is None
        foreign = page and response.status in _NEVER_A_PAGE
        reason = self._said(response.status, reason) if foreign else reason
        return RestFailed(response.status, reason[:MAX_REASON_LENGTH], retry_after_s, foreign=foreign, page=page)


def _seconds(value: object) -> float | None:
    """A number of seconds in a body; ``None`` if it is not one."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        return None
    return float(min(value, _RETRY_AFTER_MAX_S))


def _breach(error: Exception) -> _Breach | None:
    """How an answer broke the protocol; ``None`` if something else went wrong."""
    if not isinstance(error, httpx.RemoteProtocolError):
        return None
    # The libraries have one class for all of this.
    complaint = str(error)
    if complaint == _NO_TEXT:
        return "not_text"
    return "cut" if complaint.startswith(_CUT) else "not_http"


def _reason(breach: _Breach | None, cause: BaseException, address: str) -> str:
    """Why ``address``, a server's or a proxy in words, gave no response."""
    if breach in ("not_http", "not_text"):
        return f"{address} does not speak HTTP"
    return describe_failure(EOFError() if breach == "cut" else cause, address)
