"""What builds and tests print, in the database: numbered apart from the log, with its events, and deleted in time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Engine, event

from subcli.server.log.records import (
    Append,
    LogEnd,
    NewSubmission,
    OutputRecord,
    StaleFenceError,
    UnknownSubmissionError,
)
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER
from tests.server.clock import Clock
from tests.server.log.test_store import COMPLETE, claimed, new, result

pytestmark = pytest.mark.every_backend


def piece(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "output", "stream": "stdout", "text": text, **more}


def submitted(store: Store) -> int:
    return store.create(NewSubmission(DEMO_USER, "echo", "python", {"solution.py": ""}))[0].id


def texts(store: Store, submission_id: int, after: int = 0) -> list[str]:
    return [json.loads(each.text)["text"] for each in store.outputs.page(submission_id, after, 1000).records]


def test_pieces_have_numbers_of_their_own(store: Store) -> None:
    """Those of the log stay without holes; each piece names the event before it."""
    number = submitted(store)
    batch = [piece("a"), result("A"), piece("b", test_id="t1"), piece("c"), result("B")]
    records = store.append(Append(number, batch))
    assert [(type(each) is OutputRecord, each.seq) for each in records] == [
        *((True, 1), (False, 2), (True, 2), (True, 3), (False, 3))
    ]
    assert [each.seq for each in store.lookup.page(number, 0, 10).records] == [1, 2, 3]
    page = store.outputs.page(number, 0, 10)
    told = [json.loads(each.text) for each in page.records]
    assert [(each["output_seq"], each["after_seq"], each["text"]) for each in told] == [
        (1, 1, "a"),
        (2, 2, "b"),
        (3, 2, "c"),
    ]
    assert all(each["type"] == "output" and each["submission_id"] == number and "seq" not in each for each in told)
    assert told[1]["test_id"] == "t1"
    assert (page.last_seq, page.more, page.ended) == (3, False, False)
    assert page.epoch == store.lookup.page(number, 0, 1).epoch
    assert store.outputs.ends([number, 999]) == {number: LogEnd(3, page.epoch)}


def test_output_alone_changes_no_position(store: Store) -> None:
    """Neither the log nor the snapshot."""
    number = submitted(store)
    before = store.lookup.snapshot(number, DEMO_USER)
    store.append(Append(number, [piece("a")]))
    assert store.lookup.snapshot(number, DEMO_USER) == before
    assert texts(store, number) == ["a"]


def test_a_batch_is_written_once(store: Store) -> None:
    """If the answer to its COMMIT was lost, it is there, whatever is in it."""
    number = submitted(store)
    for batch in ([piece("a")], [piece("b"), result("A")], [result("B")], [result("C"), piece("c"), piece("d")]):
        after = store.lookup.snapshot(number, DEMO_USER).last_seq
        output_after = store.outputs.page(number, 0, 1000).last_seq
        wanted = Append(number, batch, 0, after, None, output_after)
        first, again = store.append(wanted), store.append(wanted)
        assert {(type(each), each.seq, each.text) for each in first} == {
            (type(each), each.seq, each.text) for each in again
        }
    assert texts(store, number) == ["a", "b", "c", "d"]
    assert [each.seq for each in store.lookup.page(number, 0, 10).records] == [1, 2, 3, 4]


def test_a_claim_says_how_much_there_is(store: Store) -> None:
    """So the next worker goes on with the numbers, and within the same budget."""
    number = store.create(new())[0].id
    first = claimed(store, number)
    assert (first.output_seq, first.output_bytes) == (0, 0)
    records = store.append(Append(number, [piece("a"), piece("b")], first.fence, first.last_seq))
    store.interruptions.hand_back(first, "stopped")
    second = claimed(store, number)
    assert (second.output_seq, second.output_bytes) == (2, sum(len(each.text) for each in records))
    with pytest.raises(StaleFenceError):
        store.append(Append(number, [piece("late")], first.fence, first.last_seq))


def test_a_page_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces and in bytes."""
    number = submitted(store)
    store.append(Append(number, [piece("x" * 400) for _ in range(5)]))
    page = store.outputs.page(number, 1, 2)
    assert ([each.seq for each in page.records], page.more, page.last_seq) == ([2, 3], True, 5)
    monkeypatch.setattr("subcli.server.log.outputs._PAGE_BYTES", 700)
    page = store.outputs.page(number, 0, 100)
    assert ([each.seq for each in page.records], page.more) == ([1, 2], True)
    with pytest.raises(UnknownSubmissionError):
        store.outputs.page(999, 0, 1)


def test_it_is_deleted_some_time_after_the_verdict(engine: Engine) -> None:
    """That of others stays, and so do the log and the numbers."""
    clock = Clock()
    store = Store(engine, clock)
    old, recent, running = (submitted(store) for _ in range(3))
    for number in (old, recent, running):
        store.append(Append(number, [piece("a"), piece("b")]))
    store.append(Append(old, [COMPLETE]))
    clock.now += 60
    store.append(Append(recent, [COMPLETE]))
    clock.now += 59
    assert store.outputs.delete_old(120) == 0
    clock.now += 1
    assert store.outputs.delete_old(120) == 2
    assert [texts(store, number) for number in (old, recent, running)] == [[], ["a", "b"], ["a", "b"]]
    assert store.outputs.page(old, 0, 10).last_seq == 2
    assert store.outputs.page(old, 0, 10).ended
    clock.now += 1000
    assert store.outputs.delete_old(120) == 2
    assert texts(store, running) == ["a", "b"]
    assert len(store.lookup.page(old, 0, 10).records) == 2
    store.close()


def test_looking_for_old_output_takes_no_write_lock(engine: Engine) -> None:
    """An idle process only reads."""
    store = Store(engine, Clock())
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    store.outputs.delete_old(0)
    assert len(statements) in (1, 2)
    assert not any("IMMEDIATE" in each or "DELETE" in each for each in statements)
    store.close()


def test_events_without_output_cost_no_statement_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only output has an INSERT of its own, in the same transaction."""
    from subcli.server.log.driver import DriverTransaction

    statements: list[str] = []
    right = DriverTransaction.exec_driver_sql

    def counting(self: DriverTransaction, statement: str, parameters: Any) -> Any:
        statements.append(statement.split()[0] + " " + statement.split(" FROM ")[-1].split()[0])
        return right(self, statement, parameters)

    monkeypatch.setattr(DriverTransaction, "exec_driver_sql", counting)
    number = submitted(store)
    statements.clear()
    store.append(Append(number, [result("A"), result("B")]))
    assert [each.split()[0] for each in statements] == ["SELECT", "INSERT", "UPDATE"]
    statements.clear()
    store.append(Append(number, [result("C"), piece("a"), piece("b")]))
    assert [each.split()[0] for each in statements] == ["SELECT", "INSERT", "INSERT", "UPDATE"]
