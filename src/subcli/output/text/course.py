"""The course of a failed test, as rows: what the ladder draws, and what is said of it in sentences.

A message is one row, when it arrives, or when it is sent if it never arrives. Foreign text is made harmless where a row
is printed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from subcli.shared.run_trace import Body, Mark, Place, RunTrace, Sent, in_order, overtaken

NOT_DELIVERED: Final = {
    "lost": "lost",
    "dropped": "dropped by the test",
    "cut_off": "cut off by the partition",
    "crashed": "its receiver is down",
    "under_way": "still under way at the end",
}
"""What is said of a message that never arrives, by its fate."""

_TEXT_CHARS: Final = 400
_AFTER_WEIGHT: Final = 4
"""What follows the violation is shown once for so many rows before it."""

_MARK_WEIGHT: Final = 4
"""A change of a role, a crash or a partition is shown from as many times as far away as a message."""


@dataclass(frozen=True)
class Row:
    """One thing that happened.

    Attributes:
        kind: `message`, or the kind of a mark.
        text: what a message says, or what is said of a node. Foreign text.
        up: the nodes that run at that time.
        nodes: those it is about: sender and receiver, or those that start at once.
        is_overtaken: whether a message that was sent later arrived before it.
    """

    no: int
    ms: int
    kind: str
    text: str
    up: frozenset[str]
    nodes: tuple[str, ...] = ()
    sent_ms: int | None = None
    fate: str = ""
    is_overtaken: bool = False
    broke_rule: bool = False
    place: Place | None = None

    @property
    def arrives(self) -> bool:
        """Whether it is a message that is delivered."""
        return self.kind == "message" and self.fate == "delivered"


def rows_of(trace: RunTrace) -> list[Row]:
    """The rows of a trace, in order. What nodes save and answer is left out where the test tells of their roles."""
    late = overtaken(trace.messages)
    tells_roles = any(mark.kind == "note" for mark in trace.marks)
    up: frozenset[str] = frozenset()
    rows: list[Row] = []
    for no, happened, is_arrival in in_order(trace):
        if isinstance(happened, Sent):
            if is_arrival or happened.arrived_no is None:
                rows.append(_message(no, happened, trace, up, is_overtaken=happened.no in late))
            continue
        if happened.kind in ("start", "kill"):
            up = up | {happened.node} if happened.kind == "start" else up - {happened.node}
        if happened.broke_rule or not (happened.kind == "save" or (happened.kind == "answer" and tells_roles)):
            _add_mark(rows, happened, trace, up)
    return rows


def _message(no: int, message: Sent, trace: RunTrace, up: frozenset[str], *, is_overtaken: bool) -> Row:
    return Row(
        no=no,
        ms=message.ms if message.arrived_ms is None else message.arrived_ms,
        kind="message",
        text=body_text(message.body),
        up=up,
        nodes=(message.src, message.dest),
        sent_ms=message.ms,
        fate=message.fate if message.fate in NOT_DELIVERED else "delivered",
        is_overtaken=is_overtaken,
        broke_rule=message.broke_rule,
        place=trace.place_of(message),
    )


def _add_mark(rows: list[Row], mark: Mark, trace: RunTrace, up: frozenset[str]) -> None:
    nodes = (mark.node,) if mark.node else ()
    last = rows[-1] if rows else None
    if mark.kind == "start" and last is not None and last.kind == "start" and last.ms == mark.ms:
        # Nodes that start together share a row.
        rows.pop()
        nodes = (*last.nodes, *nodes)
    rows.append(
        Row(
            no=mark.no,
            ms=mark.ms,
            kind=mark.kind,
            text=_mark_text(mark),
            up=up,
            nodes=nodes,
            broke_rule=mark.broke_rule,
            place=trace.place_of(mark),
        )
    )


def _mark_text(mark: Mark) -> str:
    if mark.kind == "partition":
        return " and ".join(" ".join(group) for group in mark.groups)
    if mark.kind == "answer" and mark.body is not None:
        return body_text(mark.body)
    return mark.text


def body_text(body: Body) -> str:
    """`vote term=1 granted=true`."""
    if isinstance(body, str):
        return body[:_TEXT_CHARS]
    words = [str(body.get("type", ""))]
    for name, value in body.items():
        if name != "type":
            said = value if isinstance(value, str) and value.isidentifier() else json.dumps(value, ensure_ascii=False)
            words.append(f"{name}={said}")
    return " ".join(words)[:_TEXT_CHARS]


def moment_of(rows: Sequence[Row], trace: RunTrace) -> int:
    """After how many rows the rule was broken: after the last one that broke it, else when it was noticed."""
    broke = [index + 1 for index, row in enumerate(rows) if row.broke_rule]
    return broke[-1] if broke else sum(row.no <= trace.moment_no for row in rows)


def nearest(rows: Sequence[Row], moment: int) -> Iterator[int]:
    """The indexes of the rows in the order of their importance: what broke the rule, then what is near to it."""
    yield from (index for index, row in enumerate(rows) if row.broke_rule)

    def distance(index: int) -> float:
        away = moment - index if index < moment else _AFTER_WEIGHT * (index - moment + 1)
        return away if rows[index].kind == "message" else away / _MARK_WEIGHT

    yield from sorted((index for index, row in enumerate(rows) if not row.broke_rule), key=distance)


# -- sentences ------------------------------------------------------------------------------------


def sentences(trace: RunTrace, limit: int) -> list[str]:
    """The course in sentences that make sense when read aloud. Foreign text.

    Args:
        trace: The trace.
        limit: How many rows are told.
    """
    rows = rows_of(trace)
    moment = moment_of(rows, trace)
    chosen = sorted(list(nearest(rows, moment))[:limit])
    told = [f"The seed is {trace.seed}. The nodes are {listed(trace.nodes)}."]
    before = -1
    for index in chosen:
        if index - before > 1:
            told.append(_left_out(index - before - 1))
        if before < moment <= index:
            told.append(violation(trace))
        told.append(_sentence(rows[index]))
        before = index
    if len(rows) - before > 1:
        told.append(_left_out(len(rows) - before - 1))
    if before < moment:
        told.append(violation(trace))
    return told


def _left_out(count: int) -> str:
    return f"{count} more {'thing happens' if count == 1 else 'things happen'}."


def violation(trace: RunTrace) -> str:
    """What was wrong, and when."""
    noticed = f" The test noticed at {trace.noticed_ms} ms." if trace.noticed_ms != trace.moment_ms else ""
    return f"At {trace.moment_ms} ms the rule is broken: {trace.violation.rstrip('.')}.{noticed}"


def _sentence(row: Row) -> str:
    when = f"At {row.ms} ms"
    match row.kind:
        case "message":
            src, dest = row.nodes
            if row.arrives:
                late = ", after a message that was sent later" if row.is_overtaken else ""
                said = f"{when} {dest} receives from {src} what it sent at {row.sent_ms} ms{late}: {row.text}."
            else:
                said = f"{when} {src} sends to {dest}, {NOT_DELIVERED[row.fate]}: {row.text}."
        case "start":
            said = f"{when} {listed(row.nodes)} {'starts' if len(row.nodes) == 1 else 'start'}."
        case "partition":
            said = f"{when} a partition begins. Only those in one group reach each other: {row.text}."
        case "heal":
            said = f"{when} the partition ends."
        case "kill":
            said = f"{when} {row.nodes[0]} is killed."
        case "answer":
            said = f"{when} {row.nodes[0]} answers the test: {row.text}."
        case _:
            said = f"{when} {listed(row.nodes)}: {row.text}."
    if row.broke_rule:
        said += " This broke the rule."
        if row.place is not None:
            said += f" Line {row.place.line} of {row.place.file} sent it."
    return said


def listed(names: Sequence[str]) -> str:
    """`n1, n2 and n3`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
