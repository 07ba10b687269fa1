"""`doctor` as a function."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from subcli.cli.commands import doctor
from subcli.cli.common import Common
from subcli.client.doctor import diagnose
from subcli.client.doctor.diagnosis import Diagnosis
from tests.cli.streams import captured

FINDINGS = [
    Diagnosis("settings", "ok", "server http://a"),
    Diagnosis("server", "failed", "nobody answers", "Start it.", "network"),
    Diagnosis("login", "skipped", "no server"),
]


@pytest.fixture(autouse=True)
def findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found, without looking."""

    async def found(*_: object) -> AsyncIterator[Diagnosis]:
        for finding in FINDINGS:
            yield finding

    monkeypatch.setattr(diagnose, "diagnose", found)


@pytest.mark.parametrize(
    ("common", "out"),
    [(Common(), "1 problem to fix."), (Common(quiet=True), "failed\n"), (Common(json=True), '"exit_code":6')],
)
def test_exit_code(common: Common, out: str, home: Path) -> None:
    """That of the worst finding, in every mode."""
    here = captured(home)
    assert doctor.run(common, here.streams) == 6
    assert out in here.out.getvalue()


def test_settings_that_cannot_be_used(home: Path) -> None:
    """They are the first thing to fix: nothing else is looked at."""
    (home / ".subcli.toml").write_text("problem = [")
    here = captured(home)
    assert doctor.run(Common(json=True), here.streams) == 2
    (found,) = here.json["doctor"]["findings"]
    assert (found["name"], found["state"]) == ("settings", "failed")
