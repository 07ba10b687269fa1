"""The course of the year: terms with peaks, two upgrades, a corrected test, a restored backup, and pruning."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from bench.crowd import until
from bench.year.books import PRUNED_AFTER_DAYS, Books, Entry
from bench.year.calls import Calls
from bench.year.memory import Memory
from bench.year.people import People
from bench.year.plan import Amounts, Planner
from bench.year.plant import Plant, ended
from bench.year.problems import CORRECTED, correct, make_problems
from bench.year.progress import Progress

_STEADY: Final = 4
_PEAK: Final = 40
"""Students who submit at the same time, in quiet hours and before a deadline."""
_PEAK_SHARE: Final = 0.6
_WEEKS: Final = 5
"""Deadlines of a term."""
_SAMPLES: Final = 60
"""Of the memory."""
_LOOK_S: Final = 0.2


class Course:
    """One year.

    Attributes:
        sizes: the size of the database in bytes after each part, with how many submissions it had then.
    """

    def __init__(self, plant: Plant, calls: Calls, amounts: Amounts, seed: int) -> None:
        self.books = Books()
        self.memory = Memory()
        self.sizes: list[tuple[str, int, int]] = []
        self.handed_in = 0
        self._plant = plant
        self._calls = calls
        self._amounts = amounts
        self.people = People(plant, calls, self.books, amounts.students, seed)
        self.progress = Progress(self._state, lambda: (calls.answered, self.books.checked, plant.commands))
        self._planner = Planner(amounts, self.people.names, seed)
        self._cases: dict[str, tuple[int, ...]] = {}

    async def run(self) -> None:
        """Live through it."""
        autumn, spring, summer = self._planner.terms()
        self._cases = make_problems(self._plant.problems, self._amounts.problems)
        self.progress.begin(f"{self._amounts.students} students imported")
        passwords = await self.people.import_all()
        self.progress.begin("processes started")
        await self._plant.start()
        self.progress.begin("logins")
        await self.people.log_in(passwords)
        upgrades = self._amounts.upgrades
        await self._term(autumn, "autumn, an upgrade in it" if upgrades > 1 else "autumn", upgrade=upgrades > 1)
        await self.people.log_in_on_page()
        self._pass_days(120)
        await self._term(spring, "spring, an upgrade in it" if upgrades > 0 else "spring", upgrade=upgrades > 0)
        self._pass_days(90)
        await self._judge_again()
        await self._restore()
        await self._term(summer, "summer", upgrade=False)
        self._pass_days(2)
        self.progress.begin("all packed")
        await self.progress.until_none("logs to be packed", self._plant.unpacked)
        await self._checked("all packed")
        await self._prune()
        self.progress.end()

    def _state(self) -> str:
        """How far it is."""
        books, calls = self.books, self._calls
        found = f"{len(books.lost)} lost, {len(books.differing)} different of {books.checked:,} compared"
        return f"{self.handed_in:,} submitted, {calls.answered:,} calls, {calls.repeated:,} repeated; {found}"

    # -- what is submitted ---------------------------------------------------------------------------

    async def _hand_in(self, entries: Sequence[Entry], at_once: int) -> None:
        """Submit all, so many at the same time."""
        left = iter(entries)

        async def one() -> None:
            for entry in left:
                entry.cases = self._cases[entry.problem]
                await self.people.submit(entry)
                self.handed_in += 1
                if self.handed_in % max(1, self._amounts.submissions // _SAMPLES) == 0:
                    self._sample()

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(one())

    def _sample(self) -> None:
        self.memory.samples.append((self.handed_in / 1000, self._plant.memory_kib()))

    # -- parts ---------------------------------------------------------------------------------------

    async def _term(self, entries: Sequence[Entry], name: str, *, upgrade: bool) -> None:
        self.progress.begin(name)
        begun = len(self.books.entries)
        async with asyncio.TaskGroup() as group:
            if upgrade:
                group.create_task(self._upgrade(begun + len(entries) // 3))
            per_week = -(-len(entries) // _WEEKS)
            for start in range(0, len(entries), per_week):
                week = entries[start : start + per_week]
                quiet = len(week) - int(len(week) * _PEAK_SHARE)
                await self._hand_in(week[:quiet], _STEADY)
                await self._hand_in(week[quiet:], _PEAK)
        await self._judged()
        await self._checked(name)

    async def _upgrade(self, begin: int) -> None:
        await until(lambda: len(self.books.entries) >= begin)
        await self._plant.upgrade()
        # A gateway keeps the memory that its first login took, which is not what grows with the work.
        for gateway in range(len(self._plant.urls)):
            await self.people.teacher(gateway)
        print(f"upgraded, from {begin:,} to {len(self.books.entries):,} submissions", flush=True)

    async def _judged(self) -> None:
        await self.progress.until_none("without a verdict", self._plant.unjudged)

    def _pass_days(self, days: float) -> None:
        self._plant.pass_days(days)
        self.books.pass_days(days)

    async def _checked(self, name: str, *, is_pruned: bool = False) -> None:
        """Compare everything, and note the size."""
        self.progress.begin(f"checks: {name}")
        self._sample()
        await self._plant.command("db", "check")
        await self.people.check(self._cases, self._amounts.sample, is_pruned=is_pruned)
        self._note_size(name)
        found = f"lost: {len(self.books.lost)}, other than they must be: {len(self.books.differing)}"
        print(f"{name}: {len(self.books.entries):,} submissions; {found}", flush=True)

    def _note_size(self, name: str) -> None:
        self.sizes.append((name, self._plant.size_bytes(), len(self.books.entries)))

    async def _judge_again(self) -> None:
        """Correct a test, and have everything judged again that was judged by it."""
        self.progress.begin("a test corrected")
        before = await self._version(0)
        self._cases[CORRECTED] = correct(self._plant.problems, self._cases[CORRECTED])
        for gateway in range(len(self._plant.urls)):
            while True:
                if await self._version(gateway) != before:
                    break
                await asyncio.sleep(_LOOK_S)
        token, wanted = await self.people.teacher(), {"problem": CORRECTED}
        path = "/api/rejudges"
        count = await self._calls.json("count what to judge again", "POST", path, token=token, json=wanted)
        self.books.compare("to be judged again", count["matched"], self._amounts.corrected)
        order: dict[str, Any] = {**wanted, "dry_run": False, "key": self._planner.key()}
        queued = 0
        while True:
            answer = await self._calls.json("judge 100 again", "POST", path, token=token, json=order)
            queued += answer["queued"] + answer["repeated"]
            if "next_cursor" not in answer:
                break
            order["cursor"] = answer["next_cursor"]
        self.books.compare("judged again", queued, self.books.judged_again(CORRECTED, self._cases[CORRECTED]))
        await self._judged()
        await self._checked(f"a test corrected, {queued:,} judged again")
        await self._replay()

    async def _version(self, gateway: int) -> str:
        """By which version of the problem with the wrong test this gateway has submissions judged."""
        path = f"/api/problems/{CORRECTED}"
        return str((await self._calls.json("problem", "GET", path, gateway=gateway))["version"])

    async def _replay(self) -> None:
        """Both runs of a submission whose verdict changed, as the command shows them."""
        again = (entry for entry in self.books.entries.values() if entry.first != entry.expected)
        entry = next(again, None)
        if entry is None:
            return
        for run, verdict in ((1, entry.first), (2, entry.expected)):
            client = await self._watcher(entry, "--run", str(run))
            said = await ended(client, "watch --run", allowed=int(verdict != "passed"))
            found = json.loads(said.splitlines()[-1])["final_status"]
            self.books.compare(f"run {run} of {entry.number} as replayed", found, verdict)

    async def _restore(self) -> None:
        """Back up while students submit, go on, lose the database, and restore the backup."""
        self.progress.begin("a backup, and its restore")
        backup = self._plant.folder / "backup.db"
        late = [self._planner.entry(CORRECTED, is_watched=False) for _ in range(2 * self._amounts.late + 1)]
        meanwhile, after = late[: self._amounts.late], late[self._amounts.late :]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hand_in(meanwhile, _STEADY))
            group.create_task(self._plant.command("db", "backup", str(backup)))
        await self._hand_in(after[:-1], _STEADY)
        await self._judged()
        await self._plant.stop(*self._plant.workers)
        await self._hand_in(after[-1:], 1)
        watcher = await self._client(after[-1])
        await self._plant.stop()
        self._plant.restore(backup)
        await self._plant.command("db", "check")
        await self._plant.start("gateway 1")
        gone = await self._gone(meanwhile, after)
        # The ids are given again, in this order: the client that comes back finds another submission of the same user.
        again = [replace(entry, number=0, epoch="") for entry in sorted(gone, key=lambda entry: entry.number)]
        await self._hand_in(again, 1)
        await self._plant.start()
        said = await ended(watcher, "watch", allowed=6)
        self.books.compare("what the client says, whose submission is gone", "were replaced" in said, True)
        await self._judged()
        await self._checked(f"restored, {len(gone):,} submitted again")

    async def _client(self, entry: Entry) -> asyncio.subprocess.Process:
        """A real client that watches a submission, which has shown its first event."""
        client = await self._watcher(entry, "--max-attempts", "1000")
        assert client.stdout is not None
        while line := await client.stdout.readline():
            if json.loads(line)["type"] == "status_update":
                break
        return client

    async def _watcher(self, entry: Entry, *more: str) -> asyncio.subprocess.Process:
        words = ("watch", str(entry.number), "--server", self._plant.urls[1], "--json", *more)
        return await self._plant.started(*words, env={"SUBCLI_TOKEN": self.people.tokens[entry.user]})

    async def _gone(self, meanwhile: Sequence[Entry], after: Sequence[Entry]) -> list[Entry]:
        """Those that a restored backup does not contain, which are struck from the books. Nothing older may be."""
        token, gone = await self.people.teacher(), []
        for entry in (*meanwhile, *after):
            path = f"/api/submissions/{entry.number}"
            answer = await self._calls.ask("status", "GET", path, token=token, allowed=(200, 404))
            if answer.status_code == 404:
                gone.append(self.books.entries.pop(entry.number))
        self.books.compare("what came after the backup and is gone", sum(entry in gone for entry in after), len(after))
        return gone

    async def _prune(self) -> None:
        """Delete all but the verdicts of what is old, and make the file small."""
        self.progress.begin("pruning")
        expected = sum(entry.is_pruned for entry in self.books.entries.values())
        words = ("db", "prune", "--older-than", f"{PRUNED_AFTER_DAYS:.0f}d", "--keep", "verdicts", "--json")
        counted = json.loads(await self._plant.command(*words))["prune"]
        self.books.compare("to be pruned", counted["submissions"], expected)
        pruned = json.loads(await self._plant.command(*words, "--yes"))["prune"]
        self.books.compare("pruned", pruned["deleted"], expected)
        await self._checked(f"{expected:,} pruned but for their verdicts", is_pruned=True)
        await self._plant.stop()
        await self._plant.command("db", "compact")
        await self._plant.command("db", "check")
        self._note_size("compacted")
