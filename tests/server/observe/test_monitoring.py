"""The dashboard and the alert rules of `docs/deploy/monitoring` name what the server measures, checked by promtool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.server.api.test_health import samples

DIRECTORY = Path(__file__).parents[3] / "docs" / "deploy" / "monitoring"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian: prometheus) is missing")


def promtool(*words: str | Path) -> str:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *words], capture_output=True, text=True, timeout=120, cwd=DIRECTORY)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def panels() -> list[dict[str, Any]]:
    return list(json.loads((DIRECTORY / "grafana.json").read_text())["panels"])


def alerts() -> list[dict[str, Any]]:
    return [
        rule for group in yaml.safe_load((DIRECTORY / "alerts.yml").read_text())["groups"] for rule in group["rules"]
    ]


def expressions() -> Iterator[str]:
    """All of both files."""
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])
    for rule in alerts():
        yield rule["expr"]


@needs_promtool
def test_rules_do_what_they_say() -> None:
    """promtool accepts them without a remark, and they fire in the cases of `alerts-test.yml`."""
    assert f"SUCCESS: {len(alerts())} rules found" in promtool(
        "check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"
    )
    assert "SUCCESS" in promtool("test", "rules", "alerts-test.yml")


@needs_promtool
def test_queries_of_the_dashboard_are_valid(tmp_path: Path) -> None:
    """As expressions of rules, since promtool checks those."""
    rules = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions())]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", tmp_path / "rules.yml")


def test_the_dashboard_fits_its_grid() -> None:
    """Grafana's has 24 columns; no two panels are in one place, and each says what it shows."""
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (column, row)
            for column in range(place["x"], place["x"] + place["w"])
            for row in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(column < 24 for column, _ in cells)
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len({panel["title"] for panel in panels()}) == len(panels())


async def test_every_metric_exists(start: Callable[..., Any]) -> None:
    """A server whose counters have all counted once has every metric that a query names."""
    async with start(redis="redis://127.0.0.1:1/0") as live:
        metrics = live.services.metrics
        metrics.refused(4003)
        metrics.answered("GET", 200)
        metrics.ended("echo", "passed")
        metrics.judge_failed("echo")
        metrics.interrupted("vanished")
        found = {name.partition("{")[0] for name in samples((await live.http.get("/metrics")).text)}
    named = {name for each in expressions() for name in re.findall(r"\b(?:subcli|process)_[a-z_]+", each)}
    assert len(named) > 12
    assert named - found == set()
