"""`/`: the problems, and submissions: one's own, or for teachers everybody's."""

# No `from __future__ import annotations`: FastAPI reads annotations that name local functions.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import Response

from subcli.server.accounts.identity import Identity
from subcli.server.accounts.permissions import Action, refusal
from subcli.server.api.listing import Wanted, list_visible
from subcli.server.log.records import Snapshot
from subcli.server.pages import words
from subcli.server.pages.visitors import Visitor, VisitorOf
from subcli.server.parts import Services

_ON_A_PAGE: Final = 50
_Name = Annotated[str, Query(max_length=256)]
_Word = Annotated[str, Query(max_length=64)]
_Verdict = Annotated[str, Query(max_length=32, pattern=r"^[A-Za-z0-9_-]*$")]


@dataclass(frozen=True, slots=True)
class _Filters:
    """What the form asks for; an empty field asks for nothing.

    Attributes:
        cursor: of the page before; empty for the newest.
    """

    user: str
    problem: str
    verdict: str
    cursor: str

    @property
    def are_set(self) -> bool:
        """Whether any filter is set."""
        return bool(self.user or self.problem or self.verdict)

    def query(self, cursor: object = "") -> str:
        """The query of the address with these filters, from the newest submission or after a cursor."""
        fields = {"user": self.user, "problem": self.problem, "verdict": self.verdict, "cursor": str(cursor)}
        return f"?{urlencode({name: value for name, value in fields.items() if value})}"


def add_home(router: APIRouter, services: Services, visitor: VisitorOf) -> None:
    """Add the home page."""

    @router.get("/")
    async def home(
        request: Request,
        found: Annotated[Visitor, Depends(visitor)],
        user: _Name = "",
        problem: _Name = "",
        verdict: _Verdict = "",
        cursor: _Word = "",
    ) -> Response:
        filters = _Filters(user.strip(), problem, verdict, cursor)
        problems = sorted(services.problems.values(), key=lambda each: each.id)
        titles = {each.slug: each.title for each in problems}
        for_all = found.has_logins and found.may(Action.READ_ANY)
        # To whoever follows a link this page is that of a stranger.
        lists = found.identity if found.may(Action.LIST_OWN) else None
        shown = await _submissions(services, lists, filters, for_all=for_all) if lists else _NOTHING
        rows = [_row(each, titles, shown.user_of(each)) for each in shown.rows]
        return found.page(
            request,
            "home.html",
            problems=problems,
            titles=titles,
            filters=filters,
            verdicts=words.VERDICTS,
            has_list=lists is not None,
            for_all=for_all,
            complaint=shown.complaint,
            rows=rows,
            has_points=any(row["points"] for row in rows),
            older=shown.next and filters.query(shown.next),
            live="" if cursor or lists is None else "all" if for_all else "own",
        )


@dataclass(frozen=True, slots=True)
class _Shown:
    """A page of submissions.

    Attributes:
        next: the cursor of the next page; empty if there is none.
        complaint: why there are none.
    """

    rows: Sequence[Snapshot] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    next: str = ""
    complaint: str = ""

    def user_of(self, row: Snapshot) -> str:
        """Who submitted this; empty if that need not be said."""
        return self.names.get(row.owner_id, "")


_NOTHING: Final = _Shown()


async def _submissions(services: Services, identity: Identity, filters: _Filters, *, for_all: bool) -> _Shown:
    if filters.user and not for_all:
        raise HTTPException(403, refusal(identity.holder.credential, Action.READ_ANY))
    slug = await services.slug(filters.problem) if filters.problem else None
    if filters.problem and slug is None:
        return _Shown(complaint=f"There is no problem {filters.problem[:64]!r}.")
    wanted = Wanted(
        user=filters.user or None,
        all=for_all,
        problem=slug,
        verdict=filters.verdict or None,
        limit=_ON_A_PAGE,
        cursor=filters.cursor or None,
    )
    try:
        page, names = await list_visible(services, identity, wanted)
    except HTTPException as error:
        if error.status_code != 404:
            raise
        return _Shown(complaint=str(error.detail))
    return _Shown(page.rows, names, "" if page.next is None else str(page.next))


def _row(snapshot: Snapshot, titles: Mapping[str, str], user: str) -> dict[str, Any]:
    """A line of the table."""
    counts = snapshot.summary or {}
    total, passed = counts.get("total_tests"), counts.get("passed")
    return {
        "id": snapshot.id,
        "title": titles.get(snapshot.problem, snapshot.problem),
        "language": snapshot.language,
        "user": user,
        "word": words.words(snapshot.final_status or snapshot.status),
        "glyph": words.glyph(snapshot.final_status) if snapshot.final_status else "…",
        "tone": words.tone(snapshot.final_status),
        "tests": f"{passed}/{total}" if isinstance(total, int) and isinstance(passed, int) and total else "",
        "points": words.points(counts),
        "created_at": snapshot.created_at,
    }
