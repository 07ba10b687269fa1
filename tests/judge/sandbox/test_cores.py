"""How many processors this process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from subcli.judge.sandbox import groups
from subcli.judge.sandbox.groups import usable_cores


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "10000 100000"}, 1),
        ({"cpu.max": "1600000 100000"}, 8),
        ({"cpu.max": ""}, 8),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, 8),
        ({"cpu.cfs_quota_us": "300000", "cpu.cfs_period_us": "100000"}, 3),
        ({"cpu.cfs_quota_us": "300000"}, 8),
    ],
)
@pytest.mark.parametrize("inside", ["", "service/worker"], ids=["own group", "a group above"])
def test_quotas(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str], cores: int, inside: str
) -> None:
    """Of both versions of control groups; eight processors are there."""
    own = tmp_path / inside
    own.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(groups, "_hierarchies", lambda: [(2, ("memory", "cpu"), own), (1, ("pids",), Path("/"))])
    assert usable_cores() == cores


def test_affinity() -> None:
    """`taskset` and cpusets, as they are here."""
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(mine)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, mine)
