"""The calls of the REST half (contract, section 6).

The plain calls are made once and raise :class:`subcli.client.exchange.RequestFailed`: catching up has its own way to
retry (:mod:`subcli.core.recovery`). Those that a command cannot go on without are retried and raise
:class:`subcli.core.errors.SubcliError`; where both exist, their names end in ``_with_retry``.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import quote

import httpx
import msgspec

from subcli.client.auth import Authenticator
from subcli.client.exchange import RequestFailed, Wait, wait_silently
from subcli.client.http import Requester
from subcli.core.backoff import MAX_ATTEMPTS
from subcli.core.errors import AuthError, ServerError, not_a_judge
from subcli.core.inputs import RestFailed
from subcli.settings.proxies import DIRECT, Proxy
from subcli.shared.protocol import OUTPUT
from subcli.shared.run_trace import RunTrace, as_trace
from subcli.shared.secret import Secret
from subcli.workspace.languages import file_name

Json: TypeAlias = dict[str, Any]
EVENTS_PER_PAGE: Final = 1000
_CURSOR: Final = re.compile(r"[A-Za-z0-9_=-]{1,200}", re.ASCII)
_PAGE_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)


class ServerInfo(msgspec.Struct, frozen=True):
    """What a server says about itself; empty for one without ``/info``."""

    name: str = ""
    version: str = ""
    demo: bool = False
    features: frozenset[str] = frozenset()
    page_token: str = ""
    """In demo mode, the token in a page's address that allows the page to change something."""
    judging: bool | None = None
    """Whether anybody judges there at the moment; ``None`` if the server does not say."""

    @property
    def resume(self) -> bool:
        """Whether the server numbers its events and replays them."""
        return "resume" in self.features

    @property
    def output(self) -> bool:
        """Whether the server tells what builds and tests print."""
        return OUTPUT in self.features


class Whose(NamedTuple):
    """Whose submissions are listed: those of one user, or of everybody (``user`` is ``None``).

    Attributes:
        group: only of the members of this group.
    """

    user: str | None = None
    group: str | None = None

    def params(self) -> dict[str, str]:
        """What a server is asked."""
        group = {} if self.group is None else {"group": self.group}
        return group | ({"all": "true"} if self.user is None else {"user": self.user})


class FeedQuery(NamedTuple):
    """Which submissions a feed follows: those that are being judged, and those that come.

    Attributes:
        problem: only those to this one, by id or slug.
        whose: other people's; ``None``: one's own.
        output: whether what builds and tests print is followed as well.
    """

    problem: str | None = None
    whose: Whose | None = None
    output: bool = False

    def params(self) -> dict[str, str]:
        """What the socket and REST are asked."""
        problem = {} if self.problem is None else {"problem": self.problem}
        return problem | ({} if self.whose is None else self.whose.params())


class SubmissionPage(NamedTuple):
    """Listed submissions, and where the list goes on; ``None`` if there are no more, or the server does not tell."""

    entries: list[Any]
    next_cursor: str | None = None


class EventLog(NamedTuple):
    """The events after a position, and which log they are of (:meth:`subcli.core.watch.Watch.recognize`).

    Attributes:
        epoch: its name; ``None`` from servers without it.
        last_seq: the position of the last event; below that asked for if the log ends there.
    """

    events: list[Any]
    epoch: object = None
    last_seq: object = None


class Api:
    """The calls of one server.

    Args:
        client: the httpx client to send with; it must not follow redirects.
        base: server and ``api_path``, without a trailing slash.
        authenticator: supplies the token.
        max_attempts: how often a request that may succeed later is repeated.
        wait: waits before a request is repeated.
        proxy: through which ``client`` sends.
        server: ``base`` without ``api_path``, for messages.
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
        self._http = Requester(
            client, base, authenticator, max_attempts=max_attempts, wait=wait, proxy=proxy, server=server
        )
        self._info: ServerInfo | None = None

    # -- the server -------------------------------------------------------------------------------

    async def info(self) -> ServerInfo:
        """What the server is and can do; asked until it is known.

        Raises:
            RequestFailed: it did not answer. A 404 is an answer: no features; so is an HTML page.
        """
        if self._info is None:
            try:
                self._info = await self._http.request("GET", "/info", decode=as_server_info)
            except RequestFailed as failed:
                if not _has_no_info(failed.status):
                    raise
                self._info = ServerInfo()
        return self._info

    async def now(self) -> float:
        """Unix time by the server's clock, on which its expiry times are based; by ours if it does not answer."""
        with contextlib.suppress(RequestFailed):
            await self._http.request("GET", "/info", decode=as_server_info)
        return time.time() - self._http.clock_ahead_s

    async def info_with_retry(self) -> ServerInfo:
        """As :meth:`info`, retried."""
        return await self._http.retry(self.info, repeatable=True)

    async def require_judge(self) -> None:
        """Make sure that there is a judge before asking for a password.

        Raises:
            SubcliError: nobody answers, or the answer is not a judge's.
        """
        try:
            info = await self.info_with_retry()
        except AuthError:
            # It answers even this only after a login.
            return
        if info == ServerInfo():
            foreign = await self._http.foreign_answer(404, "not a judge's address")
            if isinstance(foreign, RequestFailed):
                raise not_a_judge(foreign.reason, foreign.hint)

    async def problems(self) -> list[Any]:
        """The problems there are."""
        return await self._http.request_with_retry("GET", "/problems", decode=as_problems)

    async def problem(self, name: str) -> Json:
        """One problem, by id or slug."""
        return await self._http.request_with_retry("GET", f"/problems/{quote(name, safe='')}", decode=as_problem)

    async def languages(self) -> list[Any]:
        """The languages that the server can run.

        Raises:
            ServerError: it does not report them.
        """

        async def ask() -> list[Any] | None:
            try:
                return await self._http.request("GET", "/languages", decode=as_languages)
            except RequestFailed as failed:
                if failed.status in (404, 405, 501):
                    return None
                raise

        found = await self._http.retry(ask, repeatable=True)
        if found is None:
            problem = "This server does not report which languages it can run."
            raise ServerError(problem, hint="`subcli problems` lists the languages of each problem.")
        return found

    async def template(self, name: str, language: str) -> Json:
        """The starting point of a new solution to a problem."""
        path = f"/problems/{quote(name, safe='')}/template/{quote(language, safe='')}"
        return await self._http.request_with_retry("GET", path, decode=lambda body: as_template(body, language))

    # -- submissions ------------------------------------------------------------------------------

    async def submit(self, body: Mapping[str, Any], *, key: str) -> Json:
        """Submit code. The request is repeated only if that cannot create a second submission.

        Args:
            body: ``problem`` or ``problem_id``, ``language``, ``source_code`` or ``files``.
            key: the ``Idempotency-Key``, one for each submission.

        Raises:
            SubcliError: it was refused, or nobody answered.
        """
        headers = {"Idempotency-Key": key}
        return await self._http.retry(
            lambda: self._http.request("POST", "/submissions", decode=as_object, json=body, headers=headers),
            repeatable=False,
            is_idempotent=self._has_idempotency,
        )

    async def _has_idempotency(self) -> bool:
        try:
            return "idempotency" in (await self.info()).features
        except RequestFailed:
            return False

    async def submissions(self, *, limit: int, problem: str | None = None) -> list[Any]:
        """One's own recent submissions, newest first."""
        params: dict[str, Any] = {"limit": limit} | ({} if problem is None else {"problem": problem})
        return await self._http.request_with_retry("GET", "/submissions", decode=as_list, params=params)

    async def submission_page(self, params: Mapping[str, Any]) -> SubmissionPage:
        """A page of submissions, newest first."""
        return await self._http.request_with_retry("GET", "/submissions", decode=as_submission_page, params=params)

    async def latest(self, *, limit: int, query: FeedQuery) -> list[Any]:
        """The latest submissions that a feed could follow, newest first; asked once."""
        params: dict[str, Any] = {"limit": limit} | query.params()
        return await self._http.request("GET", "/submissions", decode=as_list, params=params)

    async def submission(self, submission_id: int, epoch: str | None = None) -> Json:
        """The snapshot of one submission.

        Args:
            epoch: the name of the log that is followed; servers that know runs answer about that run.
        """
        path, params = f"/submissions/{submission_id}", _log_named(epoch)
        return await self._http.request("GET", path, decode=as_object, params=params)

    async def submission_with_retry(self, submission_id: int, run: int | None = None) -> Json:
        """As :meth:`submission`, retried.

        Args:
            run: the number of a run; ``None``: the latest.
        """
        path, params = f"/submissions/{submission_id}", _run_numbered(run)
        return await self._http.request_with_retry("GET", path, decode=as_object, params=params)

    async def tests(self, submission_id: int, epoch: str | None = None) -> list[Any]:
        """The last result of each test."""
        path, params = f"/submissions/{submission_id}/tests", _log_named(epoch)
        return await self._http.request("GET", path, decode=as_list, params=params)

    async def tests_with_retry(self, submission_id: int, run: int | None = None) -> list[Any]:
        """As :meth:`tests`, retried."""
        path, params = f"/submissions/{submission_id}/tests", _run_numbered(run)
        return await self._http.request_with_retry("GET", path, decode=as_list, params=params)

    async def submitted_files(self, submission_id: int) -> dict[str, str]:
        """What was submitted, by path; nothing from a server that does not tell."""

        async def send() -> dict[str, str]:
            try:
                return await self._http.request("GET", f"/submissions/{submission_id}/files", decode=as_files)
            except RequestFailed as failed:
                if failed.status != 404:
                    raise
            return {}

        return await self._http.retry(send, repeatable=True)

    async def run_trace(self, submission_id: int, test: str, run: int | None = None) -> RunTrace:
        """How a test on several nodes failed, by its id or name.

        Args:
            run: the number of a run; ``None``: the latest.

        Raises:
            SubcliError: the server has not kept it.
        """
        path = f"/submissions/{submission_id}/tests/{quote(test, safe='')}/trace"
        return await self._http.request_with_retry("GET", path, decode=as_trace, params=_run_numbered(run))

    async def events(self, submission_id: int, after_seq: int, epoch: str | None = None) -> EventLog:
        """The whole event log after ``after_seq``.

        Args:
            epoch: as for :meth:`submission`.

        Raises:
            RequestFailed: a request failed, or the log was replaced between two pages.
        """
        log: list[Any] = []
        path = f"/submissions/{submission_id}/events"
        first: EventLog | None = None
        while True:
            params = {"after_seq": after_seq, "limit": EVENTS_PER_PAGE, **_log_named(epoch)}
            page = await self._http.request("GET", path, decode=as_event_log, params=params)
            first = first or page
            if page.epoch != first.epoch:
                raise RequestFailed(RestFailed(None, "the event log was replaced while it was read"))
            log.extend(page.events)
            last = page.events[-1].get("seq") if page.events and isinstance(page.events[-1], dict) else None
            if len(page.events) < EVENTS_PER_PAGE or not isinstance(last, int) or last <= after_seq:
                return EventLog(log, page.epoch, page.last_seq)
            after_seq = last

    async def output(self, submission_id: int, output_after: int, epoch: str | None = None) -> list[Any]:
        """What was printed after piece ``output_after``, as far as the server keeps it.

        Raises:
            RequestFailed: a request failed.
        """
        pieces: list[Any] = []
        path = f"/submissions/{submission_id}/output"
        while True:
            params = {"output_after": output_after, "limit": EVENTS_PER_PAGE, **_log_named(epoch)}
            page = await self._http.request("GET", path, decode=as_object, params=params)
            pieces.extend(as_list(page.get("output")))
            last = page.get("last_output")
            if page.get("more") is not True or not isinstance(last, int) or last <= output_after:
                return pieces
            output_after = last

    async def cancel(self, submission_id: int) -> Json:
        """Stop judging a submission. Asking twice does no harm.

        Raises:
            SubcliError: there is no such submission, it has its verdict already, or the server cannot cancel.
        """

        async def send() -> Json:
            try:
                return await self._http.request("POST", f"/submissions/{submission_id}/cancel", decode=as_object)
            except RequestFailed as failed:
                if failed.status not in (404, 405, 501):
                    raise
            # If there is no such submission, this says so.
            await self.submission(submission_id)
            raise ServerError("This server cannot cancel submissions.", hint="Judging goes on.")

        return await self._http.retry(send, repeatable=True)

    # -- for teachers -----------------------------------------------------------------------------

    async def rejudge(self, body: Json) -> Json:
        """Have submissions judged again, or count which. Repeating it does no harm: it has a key."""
        return await self._http.retry(
            lambda: self._http.request("POST", "/rejudges", decode=as_object, json=body), repeatable=True
        )

    async def results(self, problem: str, params: Mapping[str, Any]) -> Json:
        """A page of the results of a problem."""
        path = f"/problems/{quote(problem, safe='')}/results"
        return await self._http.request_with_retry("GET", path, decode=as_object, params=params)

    # -- links ------------------------------------------------------------------------------------

    async def create_link(self, submission_id: int, expires_in_s: int) -> Json:
        """Make a link that shows one submission to whoever follows it."""
        body = {"expires_in": expires_in_s}
        return await self._change("POST", f"/submissions/{submission_id}/links", body)

    async def links(self, submission_id: int) -> list[Any]:
        """The links to a submission that work."""
        return await self._http.request("GET", f"/submissions/{submission_id}/links", decode=as_list)

    async def revoke_links(self, submission_id: int) -> Json:
        """End all links to a submission."""
        return await self._change("DELETE", f"/submissions/{submission_id}/links")

    # -- identity ---------------------------------------------------------------------------------

    async def create_access_token(self, name: str, scope: str, expires_in_s: int) -> Json:
        """Make an access token for machines."""
        return await self._change("POST", "/auth/tokens", {"name": name, "scope": scope, "expires_in": expires_in_s})

    async def access_tokens(self) -> list[Any]:
        """One's own access tokens for machines, without their texts."""
        return await self._http.request_with_retry("GET", "/auth/tokens", decode=as_list)

    async def revoke_access_token(self, name: str) -> Json:
        """Revoke an access token, by name or id."""
        return await self._change("DELETE", f"/auth/tokens/{quote(name, safe='')}")

    async def change_password(self, old: Secret, new: Secret) -> Json:
        """Change one's own password; other sessions end."""
        return await self._change(
            "POST", "/auth/password", {"old_password": old.reveal(), "new_password": new.reveal()}
        )

    async def _change(self, method: str, path: str, json: object = None) -> Json:
        """Send a request that is not repeated if its effect is unknown.

        Raises:
            SubcliError: it was refused, or nobody answered.
        """
        return await self._http.retry(
            lambda: self._http.request(method, path, decode=as_object, json=json), repeatable=False
        )

    async def watch_token(self, submission_id: int) -> Secret:
        """A token for one socket of this submission, valid for a minute (contract, section 6)."""
        return await self._http.request("POST", f"/submissions/{submission_id}/watch-token", decode=as_token)

    async def me(self) -> Json:
        """Who the token belongs to."""
        return await self._http.request("GET", "/auth/me", decode=as_object)

    async def me_with_refresh(self) -> Json:
        """As :meth:`me`; a refused token is renewed once.

        Raises:
            AuthError: the token is not accepted.
            RequestFailed: the request failed otherwise.
        """
        token = self._http.token()
        try:
            return await self.me()
        except RequestFailed as failed:
            if failed.status not in (401, 403):
                raise
            await self._http.refresh(failed.reason, token)
        return await self.me()

    async def accepts_us(self) -> bool | None:
        """Whether the server lists submissions for us. A refused token is renewed once.

        Returns:
            ``None`` if the answer does not tell.
        """
        for _ in range(2):
            token = self._http.token()
            try:
                await self._http.request("GET", "/submissions", decode=as_list, params={"limit": 1})
                return True
            except RequestFailed as failed:
                if failed.status not in (401, 403):
                    return None
                reason = failed.reason
            try:
                await self._http.refresh(reason, token)
            except AuthError:
                return False
        return False


def _log_named(epoch: str | None) -> dict[str, str]:
    return {} if epoch is None else {"epoch": epoch}


def _run_numbered(run: int | None) -> dict[str, int]:
    return {} if run is None else {"run": run}


def _has_no_info(status: int | None) -> bool:
    """Whether the status of a failed ``GET /info`` means that the server does not have it."""
    if status is None:
        return False
    return (status < 500 and status not in (401, 429)) or status == 501


# -- bodies: a ValueError says what is wrong; most often the address is not that of a subcli server ------------


def as_object(body: Any) -> Json:
    """A JSON object."""
    if not isinstance(body, dict):
        raise ValueError("the response is not a JSON object")
    return body


def as_files(body: Any) -> dict[str, str]:
    """Texts by path, in the field ``files``."""
    files = as_object(body).get("files")
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
        raise ValueError("the response has no files")
    return files


def as_list(body: Any) -> list[Any]:
    """A list, by itself or as the only list in an object."""
    if isinstance(body, dict):
        lists = [value for value in body.values() if isinstance(value, list)]
        body = lists[0] if len(lists) == 1 else None
    if not isinstance(body, list):
        raise ValueError("the response is not a list")
    return body


def as_submission_page(body: Any) -> SubmissionPage:
    """A page of a list; from some servers a bare list."""
    cursor = body.get("next_cursor") if isinstance(body, dict) else None
    return SubmissionPage(as_list(body), cursor if isinstance(cursor, str) and _CURSOR.fullmatch(cursor) else None)


def as_event_log(body: Any) -> EventLog:
    """A page of the event log; from some servers a bare list."""
    said = body if isinstance(body, dict) else {}
    return EventLog(as_list(body), said.get("epoch"), said.get("last_seq"))


def as_problem(body: Any) -> Json:
    """A problem, with its ``languages`` where another platform says ``supported_languages`` (contract, section 6)."""
    problem = as_object(body)
    if "languages" not in problem and isinstance(problem.get("supported_languages"), list):
        return {**problem, "languages": problem["supported_languages"]}
    return problem


def as_problems(body: Any) -> list[Any]:
    """A list of problems; other items stay unchanged."""
    return [as_problem(entry) if isinstance(entry, dict) else entry for entry in as_list(body)]


def as_languages(body: Any) -> list[Any]:
    """A list of languages. A bare name becomes an object with that name; anything else is dropped."""
    rows = [{"name": row} if isinstance(row, str) else row for row in as_list(body)]
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("name"), str)]


def as_template(body: Any, language: str) -> Json:
    """A template: ``files`` and ``submit``, or the one text that another platform sends (contract, section 6)."""
    answer = as_object(body)
    text = next((answer[name] for name in ("template", "code", "source_code") if isinstance(answer.get(name), str)), "")
    if "files" in answer or not text:
        return answer
    name = file_name(language)
    return {**answer, "files": {name: text}, "submit": [name]}


def as_server_info(body: Any) -> ServerInfo:
    """The body of ``GET /info``; features that are not a list count as none."""
    if not isinstance(body, dict):
        return ServerInfo()
    features, page_token, judging = body.get("features"), body.get("page_token"), body.get("judging")
    return ServerInfo(
        name=str(body.get("name", "")),
        version=str(body.get("version", "")),
        demo=body.get("demo") is True,
        features=frozenset(str(feature) for feature in features) if isinstance(features, list) else frozenset(),
        page_token=page_token if isinstance(page_token, str) and _PAGE_TOKEN.fullmatch(page_token) else "",
        judging=judging if isinstance(judging, bool) else None,
    )


def as_token(body: Any) -> Secret:
    """A token, under any of the names that servers give it."""
    found = [body.get(name) for name in ("token", "watch_token", "access_token")] if isinstance(body, dict) else []
    for value in found:
        if isinstance(value, str) and value:
            return Secret(value)
    raise ValueError("the response has no token")
