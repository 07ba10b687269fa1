"""Many submissions in the live view: who is shown first, what is counted, and that a frame costs what it shows."""

from __future__ import annotations

import random

import pytest

from subcli.core.submission import Submission
from subcli.core.watch import Watch
from subcli.output.live.roster import Roster, Totals, Urgency
from subcli.output.live.view import LiveView
from tests.output.playhouse.calls import calls_of
from tests.output.playhouse.scenes import SCENES
from tests.output.playhouse.script import Clock, Stage
from tests.output.playhouse.terminal import terminal


class Entry:
    def __init__(self, name: int, urgency: Urgency = Urgency.WAITING) -> None:
        self.name = name
        self.urgency = urgency
        self.exit_code: int | None = None


def names(entries: list[Entry]) -> list[int]:
    return [entry.name for entry in entries]


def test_all_are_shown_in_order_if_they_fit() -> None:
    """However urgent they are; one more, and the most urgent come first, with a line for the rest."""
    roster: Roster[Entry] = Roster()
    for name, urgency in enumerate((Urgency.PASSED, Urgency.WAITING, Urgency.FAILING, Urgency.JUDGED)):
        roster.add(Entry(name, urgency))
    assert names(roster.visible(4)) == [0, 1, 2, 3]
    assert names(roster.visible(3)) == [2, 3]
    assert names(roster.visible(1)) == names(roster.visible(0)) == []


@pytest.mark.parametrize("seed", range(20))
def test_order_is_that_of_sorting(seed: int) -> None:
    """After any changes, the roster is what sorting all submissions would give, and its totals what counting would."""
    rng = random.Random(seed)
    roster: Roster[Entry] = Roster()
    entries: list[Entry] = []
    for _ in range(300):
        if len(entries) < 5 or rng.random() < 0.3:
            entries.append(Entry(len(entries), rng.choice(list(Urgency))))
            assert roster.add(entries[-1]) == len(entries) - 1
        entry = rng.choice(entries)
        if entry.exit_code is None and rng.random() < 0.3:
            entry.exit_code = rng.choice((0, 1))
            entry.urgency = Urgency.FAILING if entry.exit_code else Urgency.PASSED
            roster.ended(entry.name)
        elif entry.exit_code is not None and rng.random() < 0.2:
            # It is judged again.
            entries[entry.name] = again = Entry(entry.name)
            roster.replace(entry.name, again)
        elif entry.exit_code is None:
            entry.urgency = rng.choice((Urgency.FAILING, Urgency.JUDGED, Urgency.WAITING))
            roster.changed(entry.name)
        lines = rng.randrange(1, 12)
        if len(entries) > lines:
            ranked = sorted(entries, key=lambda entry: entry.urgency)
            assert roster.visible(lines) == ranked[: lines - 1]
        passed = sum(1 for entry in entries if entry.exit_code == 0)
        not_passed = sum(1 for entry in entries if entry.exit_code)
        assert roster.totals == Totals(len(entries), passed, not_passed)
        assert roster.totals.running == len(entries) - passed - not_passed
    assert list(roster) == entries
    assert [roster[place] for place in range(len(roster))] == entries


@pytest.mark.parametrize(
    ("columns", "shown"),
    [(60, ""), (80, "Split vote wi… 12 s"), (120, "Split vote with a long name 12 s")],
)
def test_each_line_names_the_running_test(columns: int, shown: str) -> None:
    """And for how long it runs, where there is room beside the state; not once it has ended or the verdict is there."""
    clock = Clock()
    with terminal(columns, 24) as tty:
        view = LiveView(tty.console(), tty.console(), clock)
        stage = Stage(view, clock)
        for number in (12, 13):
            stage.begin(number)
            stage.connection("open", number)
            stage.status("testing", number, total_tests=3)
        stage.status("testing", 13, running_test="Split vote with a long name", running_ms=1000)
        clock.now += 11.2
        view.tick()
        first, second = [line for line in tty.visible().splitlines() if "#1" in line]
        assert second.rstrip().endswith(f"  {shown}" if shown else "testing")
        assert first.rstrip().endswith("testing")
        stage.result("Split vote", id=13)
        clock.now += 0.2
        view.tick()
        assert " 12 s" not in tty.visible()
        view.close()


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 60)])
def test_frame_of_thousands_costs_what_it_shows(monkeypatch: pytest.MonkeyPatch, columns: int, lines: int) -> None:
    """Of 5,000 submissions a frame takes as many snapshots as it has rows; an event takes none."""
    taken: list[int] = []
    right = Watch.snapshot

    def counted(self: Watch) -> Submission:
        taken.append(self.submission_id)
        return right(self)

    monkeypatch.setattr(Watch, "snapshot", counted)
    clock = Clock()
    with terminal(columns, lines) as tty:
        view = LiveView(tty.console(), tty.console(), clock)
        stage = Stage(view, clock)
        SCENES["feed"](stage)
        assert len(taken) == 20, "only the verdicts of the scene ask for counts"
        taken.clear()
        stage.pass_time(0.1)
        rows = lines - 2 - 1
        assert len(taken) == rows
        for number in range(100, 4000):
            stage.status("testing", number)
        taken.clear()
        stage.pass_time(0.1)
        assert len(taken) == rows
        text = tty.visible()
        assert "5,000 submissions   18 passed   2 not passed   4,980 running" in text
        assert f"… {5000 - rows:,} more" in text
        monkeypatch.undo()
        view.close()


def test_a_frame_costs_the_same_whatever_is_not_shown() -> None:
    """At 200 columns, a frame of 5,000 running submissions takes as many calls as one of 100."""
    calls = []
    for count in (100, 5000):
        clock = Clock()
        with terminal(200, 60) as tty:
            view = LiveView(tty.console(), tty.console(), clock)
            stage = Stage(view, clock)
            for number in range(1, count + 1):
                stage.begin(number)
                stage.status("testing", number)
            stage.pass_time(0.1)
            stage.status("completed", 1)
            clock.now += 0.1
            calls.append(calls_of(view.tick))
            assert f"{count:,} running" in tty.visible()
            view.close()
    assert calls[1] < 1.02 * calls[0], calls
