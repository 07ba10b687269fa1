"""One server, ready to use: REST calls and sessions that hide the differences between servers."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx

from subcli.client.api import Api, EventLog, FeedQuery
from subcli.client.auth import (
    Authenticator,
)
from subcli.client.exchange import RequestFailed, Wait, wait_silently
from subcli.client.session import Session
from subcli.client.transport import Disconnected, Socket, open_socket
from subcli.core.errors import (
    AuthError,
    NotFoundError,
    ServerError,
    SubcliError,
    UsageError,
)
from subcli.core.inputs import Blocked, Lost, Refused
from subcli.core.submission import SubmissionRow, read_row
from subcli.core.watch import Watch
from subcli.settings.config import Settings
from subcli.shared.protocol import MAX_ID, OUTPUT
from subcli.shared.secret import Secret
from subcli.shared.suggest import did_you_mean
from subcli.shared.urls import is_plain, same_origin, without_zone
from subcli.workspace.languages import languages_in
from subcli.workspace.source import Source

if TYPE_CHECKING:
    from subcli.client.feed import FeedSession

T = TypeVar("T")

FEED_ALL: Final = "feed_all"
"""The feature of servers whose feeds may be about others' submissions."""
FEED_OUTPUT: Final = "feed_output"
"""The feature of servers whose feeds may carry what builds and tests print."""
LISTED_MAX: Final = 100
"""How many submissions are requested if the client has to filter them."""


class Client:
    """One server. Made by :func:`subcli.client.connection.connect`."""

    def __init__(
        self,
        settings: Settings,
        http: httpx.AsyncClient,
        authenticator: Authenticator,
        *,
        max_attempts: int,
        wait: Wait = wait_silently,
    ) -> None:
        self.settings = settings
        proxy = settings.proxies.decide(settings.server)
        self.api = Api(
            http,
            settings.api_url,
            authenticator,
            max_attempts=max_attempts,
            wait=wait,
            proxy=proxy,
            server=settings.server,
        )
        self._authenticator = authenticator
        self._max_attempts = max_attempts

    async def submit(self, source: Source, *, problem: str, language: str) -> dict[str, Any]:
        """Submit code and return the server's answer, with ``submission_id`` as a number.

        Args:
            source: the code.
            problem: id or slug; a slug is looked up where the server wants an id.
            language: as the server names it.

        Raises:
            SubcliError: it was refused, or the server did not answer.
        """
        key = str(uuid.uuid4())
        # Ask before submitting: if the answer to the submission is lost, the server may be unreachable.
        features = (await self.api.info_with_retry()).features
        body = {"language": language, **source.body()}
        if problem.isascii() and problem.isdecimal():
            body["problem_id"] = int(problem)
        elif features:
            body["problem"] = problem
        else:
            # The other platform accepts numbers only (contract, section 6).
            body["problem_id"] = await self._problem_id(problem)
        try:
            answer = await self.api.submit(body, key=key)
        except (NotFoundError, UsageError) as error:
            error.hint = await self._meant(problem, language) or error.hint
            raise
        submission_id = id_of(answer)
        if submission_id is None:
            raise ServerError(
                "The server accepted the code but returned no submission id.", hint="`subcli list` may show it."
            )
        return {**answer, "url": self.page_url(submission_id, answer), "submission_id": submission_id}

    def page_url(self, submission_id: int, answer: Mapping[str, Any]) -> str:
        """The page of a submission: the ``url`` in the server's answer if it is a web address, else our own guess.

        A server behind a proxy may not know its path prefix, and never learns an IPv6 zone.
        """
        url, guess = answer.get("url"), self.settings.page_url(submission_id)
        if not isinstance(url, str) or not is_plain(url) or not url.lower().startswith(("http://", "https://")):
            return guess
        is_ours = same_origin(url, without_zone(self.settings.server))
        return guess if is_ours and urlsplit(url).path == f"/submissions/{submission_id}" else url

    async def problem(self, name: str) -> dict[str, Any]:
        """One problem, by id or slug.

        Raises:
            SubcliError: there is none; the hint may suggest another.
        """
        return await self.with_id(name, None, self.api.problem)

    async def template(self, name: str, language: str) -> dict[str, Any]:
        """The starting point of a new solution to a problem.

        Raises:
            SubcliError: there is none in this language; the hint may suggest another.
        """
        return await self.with_id(name, language, lambda known: self.api.template(known, language))

    async def with_id(self, name: str, language: str | None, call: Callable[[str], Awaitable[T]]) -> T:
        """``call`` with the name of a problem; with its id if the server knows no slugs (contract, section 6).

        Args:
            language: that is asked for, so that the hint of a refusal can suggest another.
        """
        try:
            return await call(name)
        except (NotFoundError, UsageError) as error:
            refused = error
        number = None if name.isdecimal() else await self._id_of_slug(name)
        if number is not None:
            with contextlib.suppress(NotFoundError, UsageError):
                return await call(str(number))
        refused.hint = await self._meant(name, language) or refused.hint
        raise refused

    async def _id_of_slug(self, slug: str) -> int | None:
        try:
            problems = [entry for entry in await self.api.problems() if isinstance(entry, dict)]
        except SubcliError:
            return None
        return _find_id(problems, slug)

    async def submissions(self, *, limit: int, problem: str | None = None) -> list[SubmissionRow]:
        """One's own recent submissions, newest first, from every kind of server; entries without an id are dropped.

        :func:`subcli.client.listing.list_submissions` lists other people's, more of them, and with more filters.

        Raises:
            SubcliError: there is no such problem, and the hint may suggest another.
        """
        if problem is None:
            entries = await self.api.submissions(limit=limit)
        else:
            entries = await self._submissions_to(problem, limit)
        return self.rows(entries)[:limit]

    def rows(self, entries: Iterable[Any]) -> list[SubmissionRow]:
        """Listed submissions, without those that have no id."""
        rows = []
        for entry in entries:
            submission_id = id_of(entry) if isinstance(entry, dict) else None
            if submission_id is not None:
                rows.append(read_row(entry, submission_id=submission_id, url=self.page_url(submission_id, entry)))
        return rows

    async def require_feature(self, feature: str, what: str, *, in_demo: bool = False) -> None:
        """Make sure that the server can do something that not every server can.

        Args:
            feature: as ``GET /info`` names it.
            what: it can, as a verb phrase.
            in_demo: a server without logins can do it as well.

        Raises:
            ServerError: it cannot.
        """
        info = await self.api.info_with_retry()
        if feature in info.features:
            return
        if info.demo and not in_demo:
            reason = f"This server runs in demo mode, without logins, and cannot {what}."
            raise ServerError(reason, hint="`subcli serve --auth` starts one with logins.")
        raise ServerError(f"This server cannot {what}.", hint="Is it up to date? `subcli doctor` shows its version.")

    async def require_groups(self) -> None:
        """Make sure that the server knows groups of users.

        Raises:
            ServerError: it does not, and would show everybody's submissions instead.
        """
        await self.require_feature("groups", "show the submissions of a group")

    async def _submissions_to(self, problem: str, limit: int) -> list[Any]:
        """Submissions to one problem, filtered here if the server ignores the filter (contract, section 6)."""

        async def ask(name: str) -> list[Any]:
            return await self.api.submissions(limit=limit, problem=name)

        entries = await self.with_id(problem, None, ask)
        if all(_is_for(entry, {problem}) for entry in entries) or await self._filters_lists():
            return entries
        names = {problem}
        if not problem.isdecimal() and (number := await self._id_of_slug(problem)) is not None:
            names.add(str(number))
        if all(_is_for(entry, names) for entry in entries):
            return entries
        every = await self.api.submissions(limit=max(limit, LISTED_MAX), problem=problem)
        return [entry for entry in every if _is_for(entry, names)]

    async def _filters_lists(self) -> bool:
        """Whether the server applies filters itself. It knows ids of problems that are no longer in service."""
        try:
            return "lists" in (await self.api.info_with_retry()).features
        except SubcliError:
            return False

    async def _meant(self, problem: str, language: str | None) -> str:
        """A hint for a problem or language that the server does not know: a similar name."""
        try:
            known = [entry for entry in await self.api.problems() if isinstance(entry, dict)]
        except SubcliError:
            return ""
        names = {_slug_of(entry): entry for entry in known}
        found = names.get(problem) or next((entry for entry in known if str(entry.get("id")) == problem), None)
        if found is None:
            return did_you_mean(problem, names) or "`subcli problems` lists them."
        languages = languages_in(found)
        if language is None or not languages or language in languages:
            return ""
        return did_you_mean(language, languages) or f"It can be solved in {', '.join(languages)}."

    async def latest(self) -> int:
        """The id of the user's latest submission.

        Raises:
            NotFoundError: there is none.
        """
        for row in await self.submissions(limit=1):
            return row.submission_id
        raise NotFoundError("You have not submitted anything yet.", hint="`subcli submit FILE --problem SLUG`")

    async def epoch_of_run(self, submission_id: int, run: int) -> str | None:
        """The name of the log of one of a submission's judgings; ``None`` if it has none, which only the latest can.

        Args:
            run: its number.

        Raises:
            SubcliError: there is no such judging, or the server knows none.
        """
        await self.require_feature("runs", "show an earlier judging", in_demo=True)
        return epoch_of(await self.api.submission_with_retry(submission_id, run))

    def token(self) -> Secret | None:
        """The token to send now, if there is one."""
        return self._authenticator.token()

    async def renew(self) -> None:
        """Get a new token.

        Raises:
            AuthError: there is none.
        """
        again = await self._authenticator.refresh(self.token())
        if not again.ok:
            raise AuthError("The login cannot be renewed.", hint=again.hint)

    def session(
        self, watch: Watch, *, own_submit: bool = False, describe: bool = False, output: bool = False
    ) -> Session:
        """The session that follows ``watch``'s submission.

        Args:
            own_submit: we have just submitted it ourselves.
            describe: request problem and language, for a screen that shows them.
            output: ask for what the build and the tests print.
        """
        return Session(
            watch,
            self.api,
            self._dial,
            self._authenticator,
            max_attempts=self._max_attempts,
            own_submit=own_submit,
            describe=describe,
            output=output,
        )

    async def feed(self, wanted: FeedQuery) -> FeedSession:
        """The session that follows all submissions that run and are wanted, and those that join them.

        Raises:
            SubcliError: the server does not answer, this user may not follow them, or there is no such problem; the
                hint may suggest another.
        """
        from subcli.client.feed import FeedSession
        from subcli.core.feed import Feed

        features = (await self.api.info_with_retry()).features
        names: set[str] = set()
        if wanted.whose is not None:
            await self.require_feature(FEED_ALL, "follow other users' submissions")
            if wanted.whose.group is not None:
                await self.require_groups()
            # Only REST says why it refuses.
            await self.api.submission_page({"limit": 1, **wanted.whose.params()})
        if wanted.problem is not None:
            known = await self.problem(wanted.problem)
            names = {wanted.problem, _slug_of(known), str(known.get("id", wanted.problem))}

        # Servers without it would say nothing of what is printed; single sockets may.
        is_followed = "feed" in features and (not wanted.output or FEED_OUTPUT in features)
        feed = Feed(self.settings.page_url, output=wanted.output)

        async def dial(cursor: str | None) -> Socket:
            more = {} if cursor is None else {"cursor": cursor}
            given = urlencode(wanted.params() | ({"events": OUTPUT} if feed.output else {}) | more)
            url = f"{self.settings.ws_url}/feed{'?' if given else ''}{given}"
            # In the header only: watch tokens open no feed, and a URL must not contain a long-lived token.
            return await open_socket(url, token=self._authenticator.token(), proxy=self.settings.proxies.decide(url))

        return FeedSession(
            feed,
            _FeedCalls(self.api, wanted, names),
            dial if is_followed else None,
            self._authenticator,
            lambda watch: self.session(watch, output=feed.output),
            max_attempts=self._max_attempts,
            offers_output=is_followed and FEED_OUTPUT in features,
        )

    async def _dial(self, submission_id: int, after_seq: int, epoch: str | None, output_after: int | None) -> Socket:
        url = f"{self.settings.ws_url}/submissions/{submission_id}"
        position: list[tuple[str, object]] = [("after_seq", after_seq)] if after_seq else []
        position += [("epoch", epoch)] if epoch else []
        if output_after is not None:
            position += [("events", OUTPUT), *([("output_after", output_after)] if output_after else [])]
        if position:
            url += f"?{urlencode(position)}"
        proxy = self.settings.proxies.decide(url)
        token = self._authenticator.token()
        has_watch_tokens = token is not None and await self._has_watch_tokens()
        if has_watch_tokens:
            # A URL must not contain a long-lived token (contract, section 6).
            return await open_socket(url, query_token=await self._watch_token(submission_id), proxy=proxy)
        # Unknown for now: better to be refused once than to leave a long-lived token in a log.
        in_url = token if has_watch_tokens is False else None
        return await open_socket(url, token=token, query_token=in_url, proxy=proxy)

    async def _has_watch_tokens(self) -> bool | None:
        """Whether the server issues tokens for one socket; ``None`` if it does not answer."""
        try:
            return "watch_token" in (await self.api.info()).features
        except RequestFailed:
            return None

    async def _watch_token(self, submission_id: int) -> Secret:
        try:
            return await self.api.watch_token(submission_id)
        except RequestFailed as failed:
            raise Disconnected(_as_handshake(failed)) from None

    async def _problem_id(self, slug: str) -> int:
        problems = [entry for entry in await self.api.problems() if isinstance(entry, dict)]
        if (number := _find_id(problems, slug)) is not None:
            return number
        known = [_slug_of(entry) for entry in problems]
        hint = f"{did_you_mean(slug, known)} Known: {', '.join(known) or 'none'}.".lstrip()
        raise NotFoundError(f"There is no problem {slug!r}.", hint=hint)


class _FeedCalls:
    """The calls of a feed (:class:`subcli.client.feed.FeedRest`).

    Args:
        wanted: what is followed.
        names: all names of its problem that servers use.
    """

    def __init__(self, api: Api, wanted: FeedQuery, names: set[str]) -> None:
        self._api = api
        self._wanted = wanted
        self._names = names

    async def latest(self) -> list[Mapping[str, Any]]:
        rows = await self._api.latest(limit=LISTED_MAX, query=self._wanted)
        found: list[Mapping[str, Any]] = []
        for row in rows:
            number = id_of(row) if isinstance(row, dict) else None
            if number is not None and (self._wanted.problem is None or _is_for(row, self._names)):
                found.append({**row, "submission_id": number})
        return found

    async def events(self, submission_id: int, after_seq: int, epoch: str | None = None) -> EventLog:
        return await self._api.events(submission_id, after_seq, epoch)

    async def output(self, submission_id: int, output_after: int, epoch: str | None = None) -> list[Any]:
        return await self._api.output(submission_id, output_after, epoch)


def _as_handshake(failed: RequestFailed) -> Blocked | Lost | Refused:
    """A failure to get a token for the socket, as a failure of the handshake itself."""
    if isinstance(failed.input, Blocked):
        return failed.input
    if failed.status is None:
        return Lost(failed.reason)
    return Refused(failed.status, failed.reason, failed.retry_after_s)


def _slug_of(problem: Mapping[str, Any]) -> str:
    return str(problem.get("slug") or slugify(str(problem.get("title", ""))))


def _find_id(problems: Iterable[Mapping[str, Any]], slug: str) -> int | None:
    """The id of the problem with this slug, or whose title makes it."""
    for entry in problems:
        if slug in (entry.get("slug"), slugify(str(entry.get("title", "")))) and isinstance(entry.get("id"), int):
            return int(entry["id"])
    return None


def _is_for(entry: Any, names: set[str]) -> bool:
    """Whether a listed submission is for the problem with one of these names; also if it does not say for which."""
    if not isinstance(entry, dict):
        return True
    problem = entry.get("problem")
    told = [problem.get(key) for key in ("id", "slug")] if isinstance(problem, dict) else [problem]
    told += [entry.get(key) for key in ("problem_id", "problem_slug")]
    known = {str(value) for value in told if isinstance(value, str | int)}
    return not known or not known.isdisjoint(names)


def id_of(answer: Mapping[str, Any]) -> int | None:
    """The submission's number, under any of the names and types that servers use."""
    value = answer.get("submission_id", answer.get("id"))
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(MAX_ID)):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value <= MAX_ID else None


def epoch_of(answer: Mapping[str, Any]) -> str | None:
    """The name of the submission's log; ``None`` from servers without it."""
    value = answer.get("epoch")
    return value if isinstance(value, str) and value else None


def slugify(title: str) -> str:
    """A title as a slug: ``Leader Election`` → ``leader-election``."""
    words = "".join(char.lower() if char.isalnum() else " " for char in title).split()
    return "-".join(words)
