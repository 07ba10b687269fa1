"""Those who use the server: students who submit, look and watch, and a teacher who reads everything."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from bench.crowd import watch
from bench.year.books import Books, Entry
from bench.year.calls import Calls
from bench.year.plant import Plant

TEACHER: Final = "teacher"
_AT_ONCE: Final = 4
"""Logins."""
_LOOKS: Final = 10
"""One submission in so many is looked at by its student."""
_PER_PAGE: Final = 100
_RECONNECT_S: Final = 0.2
_TOKEN_S: Final = 300 * 86_400


class People:
    """All of them, with an access token each.

    Attributes:
        names: of the students.
    """

    def __init__(self, plant: Plant, calls: Calls, books: Books, students: int, seed: int) -> None:
        self.names = [f"student{number:03}" for number in range(1, students + 1)]
        self.tokens: dict[str, str] = {}
        self._plant = plant
        self._calls = calls
        self._books = books
        self._random = random.Random(seed)
        self._cookie = ""
        self._latest = 0
        """The latest submission of the student who looks at pages."""
        self._passwords: dict[str, str] = {}

    # -- accounts ------------------------------------------------------------------------------------

    async def import_all(self) -> Path:
        """Import everybody with one command; returns the file with the passwords."""
        table, passwords = self._plant.folder / "users.csv", self._plant.folder / "passwords.csv"
        rows = [f"{name},student" for name in self.names] + [f"{TEACHER},teacher"]
        table.write_text("name,role\n" + "\n".join(rows) + "\n")
        await self._plant.command("user", "import", str(table), "--output", str(passwords))
        return passwords

    async def log_in(self, passwords: Path) -> None:
        """Let everybody log in and make an access token."""
        with passwords.open(newline="") as file:
            known = {row["name"]: row["password"] for row in csv.DictReader(file)}
        self._books.compare("users imported", len(known), len(self.names) + 1)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> None:
            async with gate:
                form = {"grant_type": "password", "username": name, "password": known[name]}
                login = await self._calls.json("log in", "POST", "/api/auth/token", data=form)
                wanted = {"name": "year", "scope": "submit", "expires_in": _TOKEN_S}
                token, path = login["access_token"], "/api/auth/tokens"
                made = await self._calls.json("create a token", "POST", path, token=token, json=wanted)
                self.tokens[name] = str(made["token"])

        self._passwords = known
        await asyncio.gather(*map(one, known))

    async def log_in_on_page(self) -> None:
        """Let one of them log in as a browser does. From then on, pages are looked at as well."""
        name = self.names[0]
        form = {"username": name, "password": self._passwords[name]}
        more: dict[str, Any] = {"gateway": 0, "data": form, "headers": {"Origin": self._plant.urls[0]}}
        page = await self._calls.ask("log in on a page", "POST", "/login", allowed=(302, 303), **more)
        self._cookie = "; ".join(f"{name}={value}" for name, value in page.cookies.items())

    async def teacher(self, gateway: int | None = None) -> str:
        """A token of a login, for a quarter of an hour: no access token allows to have anything judged again."""
        form = {"grant_type": "password", "username": TEACHER, "password": self._passwords[TEACHER]}
        answer = await self._calls.json("log in", "POST", "/api/auth/token", data=form, gateway=gateway)
        return str(answer["access_token"])

    # -- students ------------------------------------------------------------------------------------

    async def submit(self, entry: Entry) -> None:
        """Submit, look at it sometimes, and watch it until the verdict if somebody is to."""
        body = {"problem": entry.problem, "language": "python", "source_code": entry.source}
        token, headers = self.tokens[entry.user], {"Idempotency-Key": entry.key}
        made = await self._calls.json("submit", "POST", "/api/submissions", token=token, headers=headers, json=body)
        entry.number, entry.epoch = int(made["id"]), str(made["epoch"])
        self._books.enter(entry)
        if entry.user == self.names[0]:
            self._latest = entry.number
        if entry.number % _LOOKS == 0:
            await self._look(entry, token)
        if entry.is_watched:
            await self._watch(entry, token)

    async def _look(self, entry: Entry, token: str) -> None:
        ask, path = self._calls.ask, f"/api/submissions/{entry.number}"
        await ask("status", "GET", path, token=token)
        await ask("tests of a submission", "GET", f"{path}/tests", token=token)
        await ask("list one's own", "GET", "/api/submissions", token=token)
        if self._cookie:
            browser = {"Cookie": self._cookie, "Sec-Fetch-Site": "none"}
            await ask("page of a problem", "GET", f"/problems/{entry.problem}", headers=browser)
            await ask("home page", "GET", "/", headers=browser)
            shown = self._books.entries.get(self._latest)
            if shown is not None and shown.user == self.names[0]:
                await ask("page of a submission", "GET", f"/submissions/{shown.number}", headers=browser)

    async def _watch(self, entry: Entry, token: str) -> None:
        """Reconnect until the verdict, after the last event seen."""
        while not entry.seen_verdict:
            path = f"/api/submissions/{entry.number}/watch-token"
            once = (await self._calls.json("watch token", "POST", path, token=token))["token"]
            closed = asyncio.Event()

            def read(text: bytes) -> None:
                event = json.loads(text)
                if "seq" in event:
                    entry.seqs.append(int(event["seq"]))
                if event["type"] == "complete":
                    entry.seen_verdict = str(event["final_status"])

            def end(_code: int, closed: asyncio.Event = closed) -> None:
                closed.set()

            port = int(self._random.choice(self._plant.urls).rpartition(":")[2])
            after = entry.seqs[-1] if entry.seqs else 0
            address = f"/ws/submissions/{entry.number}?token={once}&after_seq={after}&epoch={entry.epoch}"
            with contextlib.suppress(OSError, TimeoutError):
                await watch(port, address, read, end)
                await closed.wait()
            if not entry.seen_verdict:
                await asyncio.sleep(_RECONNECT_S)
        self._books.compare(f"what the watcher of {entry.number} saw", entry.seen_verdict, entry.expected)
        self._books.compare(f"the events of {entry.number}", entry.seqs, list(range(1, len(entry.seqs) + 1)))

    # -- checks --------------------------------------------------------------------------------------

    async def check(self, problems: Iterable[str], sample: int, *, is_pruned: bool = False) -> None:
        """Compare everything that the server shows with what the trial knows.

        Args:
            sample: how many submissions are read whole.
        """
        token = await self.teacher()
        self._books.compare_list([row async for row in self._pages(token)])
        for problem in problems:
            for which in ("best", "last"):
                path = f"/api/problems/{problem}/results?which={which}&limit=500"
                rows = (await self._calls.json("results", "GET", path, token=token))["results"]
                self._books.compare_results(problem, which, rows, self.names)
        chosen = list(self._books.entries.values())
        for entry in self._random.sample(chosen, min(sample, len(chosen))):
            await self._read_whole(entry, token, is_pruned=is_pruned and entry.is_pruned)

    async def _pages(self, token: str) -> AsyncIterator[Any]:
        cursor = ""
        while True:
            path = f"/api/submissions?all=true&limit={_PER_PAGE}{cursor}"
            page = await self._calls.json("list everybody's", "GET", path, token=token)
            for row in page["submissions"]:
                yield row
            if "next_cursor" not in page:
                return
            cursor = f"&cursor={page['next_cursor']}"

    async def _read_whole(self, entry: Entry, token: str, *, is_pruned: bool) -> None:
        """Compare the log, the code and the runs of a submission."""
        compare, path = self._books.compare, f"/api/submissions/{entry.number}"
        log = (await self._calls.json("log", "GET", f"{path}/events", token=token))["events"]
        compare(f"the log of {entry.number}", [each["seq"] for each in log], list(range(1, len(log) + 1)))
        compare(f"its verdict in the log of {entry.number}", log[-1].get("final_status"), entry.expected)
        answer = await self._calls.ask("code", "GET", f"{path}/files", token=token, allowed=(200, 409))
        code: Sequence[str] = [] if is_pruned else [entry.source]
        compare(f"the code of {entry.number}", list(answer.json().get("files", {}).values()), code)
        shown = await self._calls.json("status", "GET", path, token=token)
        runs = [each["final_status"] for each in shown.get("runs") or ()]
        if not is_pruned and entry.before is not None:
            compare(f"the runs of {entry.number}", runs, [entry.first, entry.expected])
