"""What the trial knows: who submitted what, which verdict it must have, and whose result follows from that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.year.problems import outcomes, verdict_of

PRUNED_AFTER_DAYS: Final = 180.0


@dataclass
class Entry:
    """One submission.

    Attributes:
        key: its idempotency key.
        cases: the tests that it was judged by at last.
        number: its id; 0 until it is acknowledged.
        epoch: the name of its first log.
        before: the tests that it was judged by before, if it was judged again.
        age_days: how long ago its latest verdict came, in the trial's calendar.
        seqs, verdict: what its watcher saw, if it had one.
    """

    user: str
    problem: str
    source: str
    key: str
    cases: Sequence[int] = ()
    number: int = 0
    epoch: str = ""
    before: Sequence[int] | None = None
    age_days: float = 0.0
    is_watched: bool = False
    seqs: list[int] = field(default_factory=list)
    seen_verdict: str = ""

    @property
    def expected(self) -> str:
        """The verdict that it must have."""
        return verdict_of(outcomes(self.source, self.cases))

    @property
    def first(self) -> str:
        """The verdict that its first run must have had."""
        return verdict_of(outcomes(self.source, self.cases if self.before is None else self.before))

    @property
    def passed(self) -> int:
        """How many of its tests must pass."""
        return sum(outcomes(self.source, self.cases) or ())

    @property
    def run(self) -> int:
        """How often it must have been judged."""
        return 1 if self.before is None else 2

    @property
    def is_pruned(self) -> bool:
        """Whether only its verdict is left once the database was pruned."""
        return self.age_days > PRUNED_AFTER_DAYS


@dataclass
class Books:
    """All submissions that were acknowledged, by id, and what was found about them.

    Attributes:
        lost: sentences about what is not there.
        differing: sentences about what is other than it must be.
        checked: how many facts were compared.
    """

    entries: dict[int, Entry] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    checked: int = 0

    def enter(self, entry: Entry) -> None:
        """Note an acknowledged submission."""
        if entry.number in self.entries:
            self.differing.append(f"submission {entry.number} was acknowledged twice")
        self.entries[entry.number] = entry

    def pass_days(self, days: float) -> None:
        """Let time pass."""
        for entry in self.entries.values():
            entry.age_days += days

    def judged_again(self, problem: str, cases: Sequence[int]) -> int:
        """Note that all submissions to a problem were judged again, and return how many these are."""
        chosen = [entry for entry in self.entries.values() if entry.problem == problem]
        for entry in chosen:
            entry.before, entry.cases, entry.age_days = entry.cases, cases, 0.0
        return len(chosen)

    def compare(self, what: str, found: object, expected: object) -> None:
        """Note a difference, if it is one."""
        self.checked += 1
        if found != expected:
            self.differing.append(f"{what}: {found!r}, not {expected!r}")

    def compare_list(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Compare all submissions with what the server lists."""
        listed = {int(row["id"]): row for row in rows}
        for number, entry in self.entries.items():
            row = listed.pop(number, None)
            if row is None:
                self.lost.append(f"submission {number} of {entry.user}")
                continue
            found = (row["user"], row["problem"], row["final_status"], row.get("run", 1))
            expected = (entry.user, entry.problem, entry.expected, entry.run)
            self.compare(f"submission {number}", found, expected)
            if entry.run == 1:
                self.compare(f"the name of the log of submission {number}", row["epoch"], entry.epoch)
        self.compare("submissions that nobody made", sorted(listed), [])

    def compare_results(
        self, problem: str, which: str, rows: Sequence[Mapping[str, Any]], users: Iterable[str]
    ) -> None:
        """Compare the results of a problem."""
        by_user: dict[str, list[Entry]] = {user: [] for user in users}
        for entry in self.entries.values():
            if entry.problem == problem:
                by_user[entry.user].append(entry)
        listed = {row["user"]: row for row in rows}
        for user, entries in by_user.items():
            row = listed.get(user)
            if row is None:
                self.lost.append(f"{user} in the results of {problem}")
                continue
            entries.sort(key=lambda entry: entry.number)
            found: tuple[Any, ...] = (row["attempts"], row["unfinished"])
            expected: tuple[Any, ...] = (len(entries), 0)
            if entries:
                best = max(entries, key=lambda entry: (entry.expected == "passed", entry.passed, -entry.number))
                counts = entries[-1] if which == "last" else best
                found += (row.get("submission_id"), row.get("verdict"), row.get("passed"))
                expected += (counts.number, counts.expected, counts.passed)
            self.compare(f"{user} in the {which} results of {problem}", found, expected)
