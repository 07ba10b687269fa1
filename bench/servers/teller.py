"""Stands in for the workers of a cluster: commits all events, then publishes them on Redis at full speed.

So neither a judge nor the database affects the delivery rate. Prints ``{"port": 0, "first": ID}`` once its submissions
exist. After the start signal it commits everything, writes the monotonic time in seconds to ``--began``, and publishes
everything.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from bench import frames
from subcli.server.log.database import open_database
from subcli.server.log.records import NewSubmission, Record, record
from subcli.server.log.store import Store
from subcli.server.log.tables import DEMO_USER
from subcli.server.redis.connection import connect, namespace
from subcli.server.redis.outbox import encode

TOGETHER = 4
"""Events in one message, as a worker tells those that it has committed together."""

SETTLED_S = 1.0


def log_of(submission_id: int, events: int) -> list[Record]:
    """The log of one submission. Its first position is taken by the event of the submit."""
    return [record(seq, frames.result(submission_id, seq, seq).decode(), last=False) for seq in range(2, events + 2)]


def commit(engine: Engine, logs: dict[int, list[Record]]) -> None:
    """Commit everything at once; a reader of the log sees events that were not published yet."""
    connection = engine.raw_connection()
    cursor: Any = connection.cursor()
    with cursor.copy("COPY events (submission_id, seq, type, payload) FROM STDIN") as copy:
        for submission_id, log in logs.items():
            for each in log:
                copy.write_row((submission_id, each.seq, "test_result", each.text))
    for submission_id, log in logs.items():
        cursor.execute("UPDATE submissions SET last_seq = %s WHERE id = %s", (log[-1].seq, submission_id))
    connection.commit()
    connection.close()


async def tell(url: str, logs: dict[int, list[Record]], events: int) -> None:
    """Publish the events of all submissions in turn."""
    redis = connect(url, timeout_s=10)
    channels = f"{namespace(redis)}events:"
    for start in range(0, events, TOGETHER):
        async with redis.pipeline(transaction=False) as pipeline:
            for submission_id, log in logs.items():
                for message in encode(log[start : start + TOGETHER]):
                    pipeline.publish(f"{channels}{submission_id}", message)
            await pipeline.execute()
    await redis.aclose()


def main() -> None:
    """Prepare, wait for the signal, commit, publish."""
    words = argparse.ArgumentParser()
    words.add_argument("--database", required=True)
    words.add_argument("--redis", required=True)
    words.add_argument("--submissions", type=int, required=True)
    words.add_argument("--events", type=int, required=True)
    words.add_argument("--go", type=Path, required=True)
    words.add_argument("--began", type=Path, required=True)
    given = words.parse_args()
    engine = open_database(given.database)
    store = Store(engine, time.time)
    new = NewSubmission(DEMO_USER, "leader-election", "python", {"node.py": "pass\n"})
    ids = [store.create(new)[0].id for _ in range(given.submissions)]
    logs = {submission_id: log_of(submission_id, given.events) for submission_id in ids}
    # It listens nowhere; whoever starts it wants to hear of a port.
    print(json.dumps({"port": 0, "first": ids[0]}), flush=True)
    while not given.go.exists():
        time.sleep(0.01)
    # Each gateway compares with the log what it has just subscribed to.
    time.sleep(SETTLED_S)
    commit(engine, logs)
    given.began.write_text(str(time.monotonic()))
    asyncio.run(tell(given.redis, logs, given.events))
    store.close()


if __name__ == "__main__":
    main()
