"""Evidence of limits that a run of tests exceeded, put together with what the test itself saw."""

from __future__ import annotations

from dataclasses import replace

from subcli.judge.evidence import Evidence


def over_limit(exceeded: Evidence, found: Evidence | None) -> Evidence:
    """The limit is the cause of whatever the test saw; what the test knows of places and output stays."""
    if found is None:
        return exceeded
    return replace(exceeded, node=found.node, sites=found.sites, stderr=found.stderr)


def left_behind(count: int, found: Evidence | None) -> Evidence:
    """`count` processes were still running when the test had ended."""
    if found is not None:
        return replace(found, left_behind=count)
    return Evidence(
        kind="limit",
        limit="left_behind",
        message=f"{count} process{'es' if count > 1 else ''} still running after the test had ended",
        expected="no process left",
        actual=f"{count} left",
        left_behind=count,
    )


def out_of_time(seconds: float) -> Evidence:
    """The whole submission took longer than `seconds`."""
    return Evidence(
        kind="limit",
        limit="submission_time",
        message=f"the submission took longer than {seconds:g} s in all",
        seconds=seconds,
    )
