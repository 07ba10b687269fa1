"""What a feed still has to announce: when, and after which number a client resumes. Pure."""

from __future__ import annotations

from subcli.server.gateway.new_runs import LOOKED_FOR_AT_ONCE, NewRuns
from subcli.server.log.matching import Found, JudgedAgain


def run(number: int, submission: int, epoch: str = "b") -> JudgedAgain:
    return JudgedAgain(number, Found(submission, "echo", "python", epoch))


def begun(after: int | None = None, known: int = 0) -> NewRuns:
    runs = NewRuns()
    runs.known_at_first = known
    runs.begin(after)
    return runs


def test_where_to_look_first() -> None:
    """After the number that the client names, but never beyond what there is: a restored backup gives numbers again."""
    assert [begun(after, known=7).looked_up_to for after in (None, 3, 7, 9)] == [7, 3, 7, 7]
    assert begun().announced_up_to is None


def test_one_log_after_the_other() -> None:
    """A run waits until the one before has been read, and no number is told that is not below its own."""
    runs = begun()
    runs.found([run(4, 1), run(6, 2)], 8)
    assert [each.id for each in runs.take({1}, {1: "a"}, 10)] == [2]
    assert (runs.announced_up_to, runs.may_announce) == (3, False)
    runs.one_ended()
    assert runs.may_announce
    assert [each.id for each in runs.take(set(), {1: "a", 2: "b"}, 10)] == [1]
    assert runs.announced_up_to == 8
    runs.one_ended()
    assert not runs.may_announce


def test_a_run_that_is_known() -> None:
    """The client named it itself, or the first list did: it is not announced again."""
    runs = begun()
    runs.found([run(1, 1), run(2, 2)], 2)
    assert runs.take({1}, {1: "b", 2: "b"}, 10) == []
    assert runs.announced_up_to == 2


def test_a_run_after_one_that_waits() -> None:
    """Only the latest is announced."""
    runs = begun()
    runs.found([run(1, 1)], 1)
    assert runs.take({1}, {1: "a"}, 10) == []
    runs.found([run(3, 1, "c")], 3)
    assert runs.announced_up_to == 2
    assert [each.epoch for each in runs.take(set(), {1: "a"}, 10)] == ["c"]


def test_room() -> None:
    """As many as there is room for, in order; while very many wait, no others are looked for."""
    runs = begun()
    runs.found([run(number, number) for number in range(1, LOOKED_FOR_AT_ONCE + 1)], LOOKED_FOR_AT_ONCE)
    assert (runs.is_stale, runs.must_look) == (True, False)
    assert [each.id for each in runs.take(set(), {}, 2)] == [1, 2]
    assert (runs.must_look, runs.announced_up_to) == (True, 2)
    assert runs.take(set(), {}, -5) == []
