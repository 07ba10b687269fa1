"""The places of those that wait, and whose watchers are to be told theirs again.

A claim moves everybody behind it by one, and who comes may be served before others. Telling all of them each time would
take a write for each waiting submission at each claim. So a place is told again when it has become better by a tenth
of the one told last, but not within `_AT_MOST_EVERY_S`; any other change is told after `_TELL_AGAIN_S`. For a place
below ten each change is a tenth: there users who come and go would be told to all, up and down.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Integer, Select, and_, case, func, or_, select

from subcli.server.log.requeue import IN_ORDER, LATER, WAITING
from subcli.server.log.tables import submissions

_TELL_AGAIN_S: Final = 9.0
"""With a look every second, within 10 s."""
_AT_MOST_EVERY_S: Final = 1.0
_TENTH: Final = 10


def places_to_tell(now: float, limit: int) -> Select[int, int]:
    """The query for ids and places of at most `limit` submissions whose watchers are to be told, the first ones first.

    What waits for an able worker (`told`) is counted by nobody but itself and its like, because nobody knows when its
    turn comes; its own place counts everybody before it. What is judged again at a teacher's request is told nothing:
    there may be thousands, and nobody waits for them.
    """
    in_order = select(
        submissions.c.id,
        _place().label("place"),
        submissions.c.position_told,
        submissions.c.position_told_at,
    ).where(*WAITING, submissions.c.turn < LATER)
    waiting = in_order.subquery()
    told, told_at = waiting.c.position_told, waiting.c.position_told_at
    is_due = or_(
        and_((told - waiting.c.place) * _TENTH >= told, told_at <= now - _AT_MOST_EVERY_S),
        told_at <= now - _TELL_AGAIN_S,
    )
    never_or_moved = or_(told.is_(None), and_(waiting.c.place != told, is_due))
    return select(waiting.c.id, waiting.c.place).where(never_or_moved).order_by(waiting.c.place).limit(limit)


def _place() -> ColumnElement[int]:
    told = submissions.c.told
    among_all = func.row_number().over(order_by=IN_ORDER)
    in_line = func.sum(case((told, 0), else_=1)).over(order_by=IN_ORDER)
    return case((told, among_all), else_=in_line).cast(Integer)
