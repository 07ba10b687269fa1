"""Databases with as many submissions as a year has, made fast: rows as the server writes them, inserted in bulk."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, Engine, Integer, LargeBinary, MetaData, Table, Text, insert, text

from subcli.server.log.packing import dictionary_of, pack
from subcli.server.log.tables import events, log_dictionaries, submissions, users
from subcli.shared.encoding import encode, timestamp

PROBLEMS: Final = 12
USERS: Final = 300
TESTS: Final = 25
EVENTS: Final = 33
SAMPLES: Final = 20
"""Different logs of each problem, where there are very many submissions."""
_BATCH: Final = 2000
_STEP: Final = 100_000
_WORDS: Final[Sequence[str]] = [
    "leader",
    "follower",
    "term",
    "vote",
    "log",
    "entry",
    "commit",
    "quorum",
    "message",
    "timeout",
    "node",
    "network",
    "split",
    "heal",
]


_SAMPLES: Final = Table(
    "bench_samples",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("problem", Text),
    Column("files", Text),
    Column("summary", Text),
    Column("packed", LargeBinary),
)
_IN_DIALECT: Final = {
    "sqlite": {
        "numbers": "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)",
        "files": "files",
        "summary": "summary",
    },
    "postgresql": {
        "numbers": "WITH n(i) AS (SELECT generate_series(CAST(:first AS bigint), CAST(:last AS bigint)))",
        "files": "CAST(files AS json)",
        "summary": "CAST(summary AS json)",
    },
}
_MADE: Final = (
    f"""INSERT INTO submissions (id, owner_id, problem, language, files, idempotency_key, epoch, created_at, started_at,
        finished_at, status, final_status, summary, total_tests, last_seq, attempt, fence, waiting_since, packed)
    {{numbers}} SELECT i, 1 + i * 7919 % {USERS}, problem, 'python', {{files}}, 'key-' || i, 'e' || i,
        :began + i, :began + i, :began + i + 4, 'failed', 'failed', {{summary}}, {TESTS}, {EVENTS}, 1, 1,
        :began + i, i <= :split
    FROM n JOIN bench_samples ON number = i % {PROBLEMS * SAMPLES}""",
    f"""INSERT INTO packed_events (submission_id, first_seq, last_seq, dictionary_id, packed)
    {{numbers}} SELECT i, 1, {EVENTS}, 1 + i % {PROBLEMS}, packed
    FROM n JOIN bench_samples ON number = i % {PROBLEMS * SAMPLES} WHERE i <= :split""",
)


def log(number: int, problem: int, chance: random.Random, began: float) -> list[tuple[str, str]]:
    """The events of a submission: 25 tests, four of which fail and are explained."""
    found: list[Mapping[str, Any]] = [
        {"type": "status_update", "status": "pending", "attempt": 1, "queue_position": chance.randrange(1, 40)},
        {"type": "status_update", "status": "building", "attempt": 1},
        {"type": "status_update", "status": "testing", "total_tests": TESTS, "attempt": 1},
    ]
    failing = set(chance.sample(range(TESTS), 4))
    for test in range(TESTS):
        name = f"{_WORDS[(problem + test) % len(_WORDS)].capitalize()} {_WORDS[test % 7]} {test}"
        result: dict[str, Any] = {
            "test_id": f"tests/test_problem_{problem}.py::test_{name.lower().replace(' ', '_')}",
            "test_name": name,
            "test_type": ("functional", "performance", "chaos")[test % 3],
            "status": "failed" if test in failing else "passed",
            "duration_ms": round(chance.expovariate(1 / 80), 1),
        }
        if test in failing:
            said = " ".join(chance.choices(_WORDS, k=12))
            node = f"node-{chance.randrange(5)}"
            result |= {
                "message": f"AssertionError: {said}",
                "expected": node,
                "actual": None,
                "output": f"{said}\n" * 3,
            }
        found.append({"type": "test_result", **result})
        if test in failing:
            found.append(
                {
                    "type": "error_analysis",
                    "test_id": result["test_id"],
                    "test_name": name,
                    "category": "wrong_answer",
                    "error": result["message"],
                    "analysis": f"The test expected {result['expected']} and got nothing.",
                    "suggestions": ["Compare what the failed test expected with what it got."],
                    "location": {"file": "solution.py", "line": chance.randrange(1, 60)},
                }
            )
    summary = {"total_tests": TESTS, "passed": TESTS - 4, "failed": 4, "duration_ms": 2100 + chance.randrange(900)}
    found.append({"type": "complete", "final_status": "failed", "summary": summary})
    texts = []
    for seq, event in enumerate(found, 1):
        place = {"submission_id": number, "seq": seq, **({"epoch": _epoch(number)} if seq == 1 else {})}
        texts.append((str(event["type"]), encode({"timestamp": timestamp(began + seq / 13), **event, **place})))
    assert len(texts) == EVENTS
    return texts


def fill(engine: Engine, count: int) -> None:
    """Insert submissions whose events are in rows of their own."""
    chance = random.Random(28)
    _insert_users(engine)
    for numbers in _batches(1, count):
        rows = [_row(number, chance, is_packed=False) for number in numbers]
        logs = {row["id"]: log(row["id"], row["id"] % PROBLEMS, chance, row["created_at"]) for row in rows}
        with engine.begin() as connection:
            connection.execute(insert(submissions), rows)
            connection.execute(insert(events), list(_event_rows(logs)))


def fill_packed(engine: Engine, count: int, unpacked: int) -> None:
    """Insert submissions of which only the last ones are not packed yet.

    The database makes the rows itself, from some hundred samples: what is read of a submission is as long as it would
    be, but names another one.
    """
    chance = random.Random(28)
    _insert_users(engine)
    logs = {problem: [log(1, problem, chance, 0.0) for _ in range(SAMPLES)] for problem in range(PROBLEMS)}
    words = {problem: dictionary_of(samples[0]) for problem, samples in logs.items()}
    rows = [_row(number, chance, is_packed=True) for number in range(PROBLEMS * SAMPLES)]
    samples = [
        {
            "number": number,
            "problem": _slug(number % PROBLEMS),
            "files": json.dumps(row["files"]),
            "summary": json.dumps(row["summary"]),
            "packed": pack(logs[number % PROBLEMS][number // PROBLEMS], words[number % PROBLEMS]),
        }
        for number, row in enumerate(rows)
    ]
    with engine.begin() as connection:
        dictionaries = [
            {"id": 1 + problem, "problem": _slug(problem), "created_at": 0.0, "words": words[problem]}
            for problem in words
        ]
        connection.execute(insert(log_dictionaries), dictionaries)
        _SAMPLES.create(connection)
        connection.execute(insert(_SAMPLES), samples)
    now = time.time()
    for first in range(1, count + 1, _STEP):
        last = min(first + _STEP - 1, count)
        bounds = {"first": first, "last": last, "split": count - unpacked, "began": now - count - 86_400}
        with engine.begin() as connection:
            for statement in _MADE:
                connection.execute(text(statement.format(**_IN_DIALECT[engine.dialect.name])), bounds)
    for numbers in _batches(count - unpacked + 1, count):
        chosen = {number: chance.choice(logs[number % PROBLEMS]) for number in numbers}
        with engine.begin() as connection:
            connection.execute(insert(events), list(_event_rows(chosen)))
    with engine.begin() as connection:
        _SAMPLES.drop(connection)
    if engine.dialect.name == "postgresql":
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(
                text("SELECT setval(pg_get_serial_sequence('submissions', 'id'), max(id)) FROM submissions")
            )
            connection.execute(text("VACUUM ANALYZE"))


def _insert_users(engine: Engine) -> None:
    with engine.begin() as connection:
        made = [{"name": f"student{each}", "name_key": f"student{each}", "created_at": 0.0} for each in range(1, USERS)]
        connection.execute(insert(users), made)


def _batches(first: int, last: int) -> Iterator[range]:
    for start in range(first, last + 1, _BATCH):
        yield range(start, min(start + _BATCH, last + 1))


def _row(number: int, chance: random.Random, *, is_packed: bool) -> dict[str, Any]:
    """A submission's row, with a kilobyte of code."""
    began = time.time() - 86_400 * 365 + number
    code = "\n".join(
        f"def {chance.choice(_WORDS)}_{line}(self, {chance.choice(_WORDS)}): return {chance.random():.3f}"
        for line in range(18)
    )
    return {
        "id": number,
        "owner_id": 1 + number * 7919 % USERS,
        "problem": _slug(number % PROBLEMS),
        "language": "python",
        "files": {"solution.py": code},
        "idempotency_key": f"{chance.getrandbits(128):032x}",
        "epoch": _epoch(number),
        "created_at": began,
        "started_at": began + 1,
        "finished_at": began + 4,
        "status": "failed",
        "final_status": "failed",
        "summary": json.loads(json.dumps({"total_tests": TESTS, "passed": 21, "failed": 4, "duration_ms": 2500})),
        "total_tests": TESTS,
        "last_seq": EVENTS,
        "attempt": 1,
        "fence": 1,
        "waiting_since": began,
        "packed": is_packed,
    }


def _event_rows(logs: Mapping[int, Sequence[tuple[str, str]]]) -> Iterator[dict[str, Any]]:
    for number, texts in logs.items():
        for seq, (kind, payload) in enumerate(texts, 1):
            yield {"submission_id": number, "seq": seq, "type": kind, "payload": payload}


def _slug(problem: int) -> str:
    # One that a server knows, so that it lists what was submitted to it.
    return f"problem-{problem}" if problem else "leader-election"


def _epoch(number: int) -> str:
    return f"{number * 2654435761 % (1 << 64):016x}"
