"""What the routes and the sockets work with, made once for each server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from subcli.judge import Problem
from subcli.server.feed import Journal
from subcli.server.jobs import JobQueue
from subcli.server.store import Store
from subcli.server.worker import Workers


@dataclass(frozen=True)
class Services:
    """The parts of one server. `owner_id` owns everything while authentication is off."""

    store: Store
    journal: Journal
    queue: JobQueue
    workers: Workers
    problems: Mapping[str, Problem]
    owner_id: int
