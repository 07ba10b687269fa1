"""Records what happens in a cluster, and makes the trace of a failed test from it.

Recording must cost a test that passes next to nothing: what is kept are references, in bounded memory. Everything else
is done once a test has failed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from subcli.judge.evidence import Site
from subcli.judge.harness.message import Message
from subcli.judge.process.text import cut
from subcli.shared.run_trace import Body, Mark, Place, RunTrace, Sent, digest_of, encode_trace

_RECORDED: Final = 20_000
"""Happenings that are kept while a test runs."""
_KEPT: Final = 1_500
"""Happenings in a trace."""
_KEPT_AFTER: Final = 300
"""How many of these may lie after the moment of the violation."""
_JSON_BYTES: Final = 256 * 1024
_BODY_BYTES: Final = 1_000
_NESTED: Final = 32
_LEAST: Final = 50
_STATES: Final = ("start", "kill", "partition", "heal")
"""What happens later cannot be drawn without the last of these."""
_TEXT_BYTES: Final = 300


@dataclass(eq=False)
class _Sending:
    """A message that was sent, and what has become of it."""

    no: int
    message: Message
    fate: str = "under_way"
    arrived_no: int | None = None
    arrived_ms: int | None = None


@dataclass(eq=False)
class _Noted:
    """Anything else that has happened."""

    no: int
    ms: int
    kind: str
    node: str = ""
    text: str = ""
    body: Mapping[str, object] | None = None
    groups: tuple[tuple[str, ...], ...] = ()
    message: Message | None = None
    """The answer, if that is what it is."""


_Happening: TypeAlias = _Sending | _Noted
Where: TypeAlias = Callable[[Message], tuple[Site, ...]]


@dataclass
class Blame:
    """What is wrong, for the trace of a failed test.

    Attributes:
        violation: a sentence.
        node: whose fault it is; empty if unknown.
        messages: those that broke the rule. By default the one whose lines are shown.
        sites: the lines that are shown.
    """

    violation: str = ""
    node: str = ""
    messages: Sequence[Message] = ()
    sites: Sequence[Site] = ()


class Recorder:
    """What has happened in one cluster so far, in order.

    Args:
        clock: tells the simulated time in milliseconds.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._number = 0
        self._happened: list[_Happening] = []
        self._sent: dict[int, _Sending] = {}
        """By the identity of the message. Those that are kept are referred to, so no identity is used twice."""
        self._answers: dict[tuple[str, str], Mapping[str, object]] = {}
        self.shown: Message | None = None
        """The message whose lines the test asked for last, to show them."""

    # -- while the test runs

    def sent(self, message: Message) -> None:
        """A node has sent a message to another."""
        sending = _Sending(self._next(), message)
        self._sent[id(message)] = sending
        self._keep(sending)

    def arrived(self, message: Message) -> None:
        """A message is given to its receiver."""
        sending = self._sent.get(id(message))
        if sending is not None:
            sending.fate, sending.arrived_no, sending.arrived_ms = "delivered", self._next(), self._clock()

    def stopped(self, message: Message, fate: str) -> None:
        """A message will not arrive; see `Sent.fate`."""
        sending = self._sent.get(id(message))
        if sending is not None:
            sending.fate = fate

    def partitioned(self, groups: tuple[frozenset[str], ...]) -> None:
        """The network was cut into these groups; into none: it is whole again."""
        self.mark("partition" if groups else "heal", groups=tuple(tuple(sorted(group)) for group in groups))

    def mark(self, kind: str, node: str = "", text: str = "", **more: Any) -> None:
        """Something else happens; see `Mark`."""
        self._keep(_Noted(self._next(), self._clock(), kind, node, text, **more))

    def note(self, node: str, text: str) -> None:
        """The test says something of a node. Of what it says when a message is sent, the message follows."""
        self.mark("note", node, text)
        *_, last, noted = (None, *self._happened[-2:])
        if isinstance(last, _Sending) and last.message.src == node and last.arrived_no is None:
            last.no, noted.no = noted.no, last.no
            self._happened[-2:] = [noted, last]

    def answered(self, message: Message) -> None:
        """A node has answered the test. What it has answered before is not recorded again."""
        key = message.src, message.type
        if self._answers.get(key) != message.body:
            self._answers[key] = message.body
            self.mark("answer", message.src, body=message.body, message=message)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _keep(self, happening: _Happening) -> None:
        self._happened.append(happening)
        if len(self._happened) > 2 * _RECORDED:
            for old in self._happened[:_RECORDED]:
                if isinstance(old, _Sending):
                    self._sent.pop(id(old.message), None)
            del self._happened[:_RECORDED]

    # -- when it has failed

    def trace(self, basis: RunTrace, blame: Blame, where: Where) -> bytes:
        """The trace as JSON. If it is too long, what lies farthest before the violation is left out.

        Args:
            basis: what is known besides what was recorded; `noticed_ms` is now.
            blame: what is wrong.
            where: finds the lines that sent a message, the most informative first.
        """
        now_ms = basis.noticed_ms
        broken = self._broken(blame)
        moment = max(broken, key=lambda each: each.no) if broken else None
        moment_no = moment.no if moment is not None else self._number
        basis = msgspec.structs.replace(
            basis,
            violation=cut(_clean(blame.violation), _TEXT_BYTES),
            node=blame.node,
            moment_no=moment_no,
            moment_ms=now_ms if moment is None else _ms(moment),
            total=self._number,
            digest=digest_of(map(_canonical, self._happened)),
        )
        kept = _KEPT
        while True:
            data = encode_trace(_with(basis, self._around(moment_no, kept, broken), broken, where))
            if len(data) <= _JSON_BYTES or kept < _LEAST:
                return data
            kept //= 2

    def _broken(self, blame: Blame) -> list[_Happening]:
        messages = list(blame.messages)
        if not messages and self.shown is not None and blame.sites and set(self.shown.sites) == set(blame.sites):
            messages = [self.shown]
        found: list[_Happening] = []
        for message in messages:
            happening = self._sent.get(id(message)) or self._answer(message)
            if happening is None:
                # An answer that was given before.
                self.mark("answer", message.src, body=message.body, message=message)
                happening = self._happened[-1]
            found.append(happening)
        return found

    def _answer(self, message: Message) -> _Happening | None:
        answers = (each for each in self._happened if isinstance(each, _Noted) and each.message is message)
        return next(answers, None)

    def _around(self, moment_no: int, kept: int, broken: Collection[_Happening]) -> list[_Happening]:
        """The happenings around a moment, all that broke the rule, and what the state at the beginning follows from."""
        after = sum(each.no > moment_no for each in self._happened)
        end = len(self._happened) - max(0, after - min(_KEPT_AFTER, kept // 4))
        begin = max(0, end - kept)
        before = self._happened[:begin]
        states = {each.node: each for each in before if isinstance(each, _Noted) and each.kind in _STATES}
        return [each for each in before if each in broken or each in states.values()] + self._happened[begin:end]


def _ms(happening: _Happening) -> int:
    return happening.message.sent_ms if isinstance(happening, _Sending) else happening.ms


def _with(basis: RunTrace, chosen: Iterable[_Happening], broken: Collection[_Happening], where: Where) -> RunTrace:
    """The trace with these happenings."""
    places: dict[Place, int] = {}

    def place(message: Message | None) -> int | None:
        site = next(iter(where(message)), None) if message is not None else None
        if site is None:
            return None
        return places.setdefault(Place(_clean(site.file), site.line, _clean(site.function)), len(places))

    messages: list[Sent] = []
    marks: list[Mark] = []
    for each in chosen:
        broke_rule = each in broken
        if isinstance(each, _Sending):
            messages.append(_as_sent(each, place(each.message), broke_rule=broke_rule))
        else:
            marks.append(_as_mark(each, place(each.message), broke_rule=broke_rule))
    return msgspec.structs.replace(
        basis,
        places=tuple(places),
        messages=tuple(messages),
        marks=tuple(marks),
        first_no=min([each.no for each in messages] + [each.no for each in marks], default=1),
    )


def _as_sent(each: _Sending, place: int | None, *, broke_rule: bool) -> Sent:
    message = each.message
    return Sent(
        no=each.no,
        ms=message.sent_ms,
        src=message.src,
        dest=message.dest,
        body=_body(message.body),
        fate=each.fate,
        arrived_no=each.arrived_no,
        arrived_ms=each.arrived_ms,
        place=place,
        broke_rule=broke_rule,
    )


def _as_mark(each: _Noted, place: int | None, *, broke_rule: bool) -> Mark:
    return Mark(
        no=each.no,
        ms=each.ms,
        kind=each.kind,
        node=each.node,
        text=cut(_clean(each.text), _TEXT_BYTES),
        body=None if each.body is None else _body(each.body),
        groups=each.groups,
        place=place,
        broke_rule=broke_rule,
    )


def _body(body: Mapping[str, object]) -> Body:
    """What a message says: as it is, if any reader of JSON can read it and it is short."""
    text = _text_of(body)
    try:
        plain = json.dumps(body, allow_nan=False).encode()
        readable = len(plain) <= _BODY_BYTES and plain.count(b"{") + plain.count(b"[") <= _NESTED
        return msgspec.json.decode(text.encode(), type=dict[str, Any]) if readable else cut(text, _BODY_BYTES)
    except (ValueError, RecursionError):
        return cut(text, _BODY_BYTES)


def _text_of(body: Mapping[str, object] | None) -> str:
    return _clean(json.dumps(body, ensure_ascii=False))


def _clean(text: str) -> str:
    """The text with a question mark for half a surrogate pair, which no JSON can carry."""
    return text.encode("utf-8", "replace").decode()


def _canonical(each: _Happening) -> str:
    """What two runs that are the same have in common. Not the lines: a comment moves them."""
    if isinstance(each, _Sending):
        message = each.message
        facts: tuple[object, ...] = (message.src, message.dest, message.sent_ms, each.fate, each.arrived_no)
        return f"{facts} {each.arrived_ms} {_text_of(message.body)}"
    return f"{(each.ms, each.kind, each.node, each.text, each.groups)} {_text_of(each.body)}"
