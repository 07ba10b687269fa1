"""The places of those that wait, and whose watchers are to be told theirs again.

A claim moves everybody behind it by one. Telling all of them each time would take a write for each waiting submission
at each claim. So a place is told again when it has changed by a tenth of the one told last, which takes some ten writes
at a claim for each factor of e in the length of the queue; and a smaller change after `_TELL_AGAIN_S`.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Integer, Select, and_, case, func, or_, select

from subcli.server.log.requeue import IN_ORDER, WAITING
from subcli.server.log.tables import submissions

_TELL_AGAIN_S: Final = 9.0
"""With a look every second, within 10 s."""
_TENTH: Final = 10


def places_to_tell(now: float, limit: int) -> Select[int, int]:
    """The query for ids and places of at most `limit` submissions whose watchers are to be told, the first ones first.

    What waits for an able worker (`told`) is counted by nobody but itself and its like, because nobody knows when its
    turn comes; its own place counts everybody before it.
    """
    in_order = select(
        submissions.c.id,
        _place().label("place"),
        submissions.c.position_told,
        submissions.c.position_told_at,
    ).where(*WAITING)
    waiting = in_order.subquery()
    moved = func.abs(waiting.c.place - waiting.c.position_told)
    is_due = or_(
        waiting.c.position_told.is_(None),
        moved * _TENTH >= waiting.c.position_told,
        waiting.c.position_told_at <= now - _TELL_AGAIN_S,
    )
    never_or_moved = or_(waiting.c.position_told.is_(None), moved > 0)
    return (
        select(waiting.c.id, waiting.c.place).where(and_(never_or_moved, is_due)).order_by(waiting.c.place).limit(limit)
    )


def _place() -> ColumnElement[int]:
    told = submissions.c.told
    among_all = func.row_number().over(order_by=IN_ORDER)
    in_line = func.sum(case((told, 0), else_=1)).over(order_by=IN_ORDER)
    return case((told, among_all), else_=in_line).cast(Integer)
