"""Two gateways and two workers, while each process and backend is killed in turn; see `trial`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .processes import running
from .trial import KINDS, SUBMISSIONS, WATCHERS, Trial

if TYPE_CHECKING:
    from tests.backends import Postgres, RedisServer

ROUNDS = len(KINDS)
"""`make soak` plays hundreds."""


@pytest.mark.thorough
@pytest.mark.long
@pytest.mark.timeout(60 + 60 * ROUNDS)
async def test_killing_everything_in_turn(tmp_path: Path, postgres: Postgres, redis_server: RedisServer) -> None:
    """Each of 200 watchers gets the verdict, and each event once and in order; no acknowledged submission is lost."""
    with running(tmp_path, postgres, redis_server, "cluster") as cluster:
        trial = Trial(cluster, tmp_path)
        try:
            for number in range(ROUNDS):
                course = await trial.round(KINDS[number % len(KINDS)], seed=number)
                assert len(course.seen) == SUBMISSIONS * WATCHERS, course.line()
                assert len(set(course.acknowledged)) == len(course.acknowledged) == SUBMISSIONS
                print(course.line())
                await asyncio.sleep(0)
        except BaseException as error:
            error.add_note(cluster.logs())
            raise
        finally:
            trial.close()
