"""The REST half, over an httpx client handed in (contract, section 6).

:meth:`Api.ask` sends one request and raises :class:`RequestFailed` with what the recovery machine wants to
hear; :meth:`Api.insist` repeats as :func:`subcli.recovery.repeat_request` decides.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote, urljoin

import httpx
import msgspec

from subcli.auth import Authenticator
from subcli.errors import NetworkError, NotFoundError, SubcliError, unauthorized
from subcli.happened import AskedInVain, Blocked
from subcli.network import proxy_wants_credentials, retry_after, same_origin, unreached, untrusted
from subcli.patience import MAX_ATTEMPTS
from subcli.repeat import repeat_request
from subcli.secret import Secret, redact

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")
EVENTS_PAGE: Final = 1000
REDIRECTS_MAX: Final = 3
REASON_MAX: Final = 500
_log = logging.getLogger("subcli.http")


class RequestFailed(Exception):
    """A request did not bring what was asked for. ``happened`` says how."""

    def __init__(self, happened: AskedInVain | Blocked) -> None:
        super().__init__(happened)
        self.happened = happened


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


class Api:
    """The calls of one server.

    Args:
        client: the httpx client to send with; it follows no redirects.
        base: server and ``api_path``, without a slash at the end.
        authenticator: gives the token.
        max_attempts: repeats of a request that may succeed later.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base: str,
        authenticator: Authenticator,
        *,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._authenticator = authenticator
        self._max_attempts = max_attempts
        self._info: Info | None = None
        self._answered = False

    # -- the calls --------------------------------------------------------------------------------

    async def info(self) -> Info:
        """What the server is and can do; asked once.

        Raises:
            RequestFailed: it did not answer. A 404 is an answer: no features.
        """
        if self._info is None:
            try:
                self._info = await self.ask("GET", "/info", shape=_info)
            except RequestFailed as failed:
                if not isinstance(failed.happened, AskedInVain) or failed.happened.status not in (
                    403,
                    404,
                    405,
                ):
                    raise
                self._info = Info()
        return self._info

    async def insist_info(self) -> Info:
        """As :meth:`info`, for a command that cannot go on without the server.

        Raises:
            SubcliError: nobody answered.
        """
        if self._info is None:
            try:
                self._info = await self.insist("GET", "/info", shape=_info)
            except NotFoundError:
                self._info = Info()
        return self._info

    async def submission(self, submission_id: int) -> Json:
        """The snapshot of one submission."""
        return await self.ask("GET", f"/submissions/{submission_id}", shape=_object)

    async def tests(self, submission_id: int) -> list[Any]:
        """The last result of each test."""
        return await self.ask("GET", f"/submissions/{submission_id}/tests", shape=_list)

    async def insist_submission(self, submission_id: int) -> Json:
        """As :meth:`submission`; raises :class:`SubcliError` where there is none."""
        return await self.insist("GET", f"/submissions/{submission_id}", shape=_object)

    async def insist_tests(self, submission_id: int) -> list[Any]:
        """As :meth:`tests`; raises :class:`SubcliError` where there is none."""
        return await self.insist("GET", f"/submissions/{submission_id}/tests", shape=_list)

    async def events(self, submission_id: int, after_seq: int) -> list[Any]:
        """The event log after ``after_seq``, all of it."""
        log: list[Any] = []
        while True:
            page = await self.ask(
                "GET",
                f"/submissions/{submission_id}/events",
                shape=_list,
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
            "POST", "/submissions", shape=_object, if_feature="idempotency", json=body, headers=headers
        )

    async def submissions(self, *, limit: int, problem: str | None = None) -> list[Any]:
        """Recent submissions, newest first."""
        params: dict[str, Any] = {"limit": limit}
        if problem is not None:
            params["problem"] = problem
        return await self.insist("GET", "/submissions", shape=_list, params=params)

    async def problems(self) -> list[Any]:
        """The problems there are."""
        return await self.insist("GET", "/problems", shape=_list)

    async def watch_token(self, submission_id: int) -> Secret:
        """A token for one socket of this submission, good for a minute (contract, section 6)."""
        return await self.ask("POST", f"/submissions/{submission_id}/watch-token", shape=_token)

    async def me(self) -> Json:
        """Who the token belongs to."""
        return await self.ask("GET", "/auth/me", shape=_object)

    async def insist_me(self) -> Json:
        """As :meth:`me`, with one renewal of the token.

        Raises:
            AuthError: the token is not accepted.
            RequestFailed: whatever else.
        """
        try:
            return await self.me()
        except RequestFailed as failed:
            if not isinstance(failed.happened, AskedInVain) or failed.happened.status not in (401, 403):
                raise
            reason = failed.happened.reason
        again = await self._authenticator.refresh()
        if not again.ok:
            raise unauthorized(reason, again.hint)
        return await self.me()

    async def problem(self, name: str) -> Json:
        """One problem, by id or slug."""
        return await self.insist("GET", f"/problems/{quote(name, safe='')}", shape=_object)

    async def template(self, name: str, language: str) -> Json:
        """What a new solution of a problem starts from."""
        path = f"/problems/{quote(name, safe='')}/template/{quote(language, safe='')}"
        return await self.insist("GET", path, shape=_object)

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
        attempt = 0
        refreshed = False
        while True:
            attempt += 1
            try:
                return await self.ask(method, path, shape=shape, **options)
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
            repeatable = method == "GET"
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
            await asyncio.sleep(decision)

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
            response = await self._send(method, url, **options)
            location = response.headers.get("Location")
            if not response.is_redirect or location is None or method != "GET":
                return _shaped(shape, self._body(response), response.status_code)
            target = urljoin(url, location)
            if not same_origin(url, target):
                raise RequestFailed(AskedInVain(response.status_code, "a redirect to another origin was not followed"))
            url = target
        raise RequestFailed(AskedInVain(310, "too many redirects"))

    async def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        token = self._authenticator.token()
        if token:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        address = httpx.URL(url).netloc.decode()
        response: httpx.Response | None = None
        try:
            response = await self._client.request(method, url, headers=headers, **options)
        except httpx.ProxyError as error:
            raise RequestFailed(
                proxy_wants_credentials() if "407" in str(error) else AskedInVain(None, "the proxy did not connect us")
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, OSError):
                cause = cause.__cause__ or cause.__context__
            if isinstance(cause, ssl.SSLCertVerificationError):
                raise RequestFailed(untrusted(cause, address)) from None
            if isinstance(error, httpx.TimeoutException):
                cause = TimeoutError()
                # A read that timed out has reached the server: what it did there is not known.
                self._answered = self._answered or isinstance(error, httpx.ReadTimeout)
            elif isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
                self._answered = True
            raise RequestFailed(AskedInVain(None, unreached(cause or error, address))) from None
        finally:
            _log.debug("%s %s %s", method, url, "no answer" if response is None else response.status_code)
        self._answered = True
        return response

    def _body(self, response: httpx.Response) -> Any:
        status = response.status_code
        try:
            body = msgspec.json.decode(response.content) if response.content else {}
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            body = None
        if not response.is_success:
            reason = _detail(body) or f"HTTP {status} {response.reason_phrase}".strip()
            told = retry_after(response.headers.get("Retry-After"))
            if told is None and isinstance(body, dict) and isinstance(body.get("retry_after"), int | float):
                told = float(body["retry_after"])
            raise RequestFailed(AskedInVain(status, redact(reason)[:REASON_MAX], told))
        if body is None:
            raise RequestFailed(AskedInVain(status, "the answer is not JSON; is this the right server and path?"))
        return body


def _info(answer: Any) -> Info:
    if not isinstance(answer, dict):
        return Info()
    features = answer.get("features")
    return Info(
        name=str(answer.get("name", "")),
        version=str(answer.get("version", "")),
        demo=answer.get("demo") is True,
        features=frozenset(str(feature) for feature in features) if isinstance(features, list) else frozenset(),
    )


def _shaped(shape: Callable[[Any], T], body: Any, status: int) -> T:
    try:
        return shape(body)
    except ValueError as error:
        raise RequestFailed(AskedInVain(status, str(error))) from None


def _token(body: Any) -> Secret:
    found = [body.get(name) for name in ("token", "watch_token", "access_token")] if isinstance(body, dict) else []
    for value in found:
        if isinstance(value, str) and value:
            return Secret(value)
    raise ValueError("no token in the answer")


def _object(body: Any) -> Json:
    if not isinstance(body, dict):
        raise ValueError("not an object; is this the right server and path?")
    return body


def _list(body: Any) -> list[Any]:
    """A list, bare or as the only list of an object."""
    if isinstance(body, dict):
        lists = [value for value in body.values() if isinstance(value, list)]
        body = lists[0] if len(lists) == 1 else None
    if not isinstance(body, list):
        raise ValueError("not a list; is this the right server and path?")
    return body


def _detail(body: Any) -> str:
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
