"""What a person has chosen to look at in the live view: keys in, a position out. Pure.

Until the first key the view is the one that needs nobody. A key that moves opens the list of all tests; Enter opens a
test; Esc leads back, one step at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from subcli.output.text.theme import test_mark
from subcli.shared.messages import TestResult

Mode: TypeAlias = Literal["overview", "list", "test"]
Action: TypeAlias = Literal["detach", "open", "copy", "output"]

LISTED_MAX: Final = 50_000
"""How many tests, of all submissions together, the lists have: they are the one part of the live view that grows."""

FILTER_CHARS_MAX: Final = 80

HELP: Final = (
    ("j k, arrows", "move"),
    ("PgUp PgDn, g G", "move by a page, to the first or last"),
    ("Enter", "open the test"),
    ("Esc", "go back"),
    ("f", "only tests that failed, or all"),
    ("/", "only tests whose names contain a text"),
    ("l", "show or hide what is printed"),
    ("n p", "next or previous submission"),
    ("o", "open the submission's page in the browser"),
    ("c", "copy the place or the name of the test"),
    ("q", "stop watching; judging goes on"),
    ("?", "this help"),
)

_MOVES: Final = {"j": 1, "↓": 1, "k": -1, "↑": -1}
_PAGES: Final = {"page down": 1, " ": 1, "page up": -1}
_ENDS: Final = {"g": False, "⇱": False, "G": True, "⇲": True}
_NOT_TYPED: Final = "↑↓→←⇱⇲"
"""Keys whose names look like characters."""


class Browser:
    """Changes in place, in :meth:`press` and :meth:`add` only.

    Attributes:
        mode: What is shown.
        has_help: Whether the help lies over it.
        current: Which submission, by its place in the order in which they began.
        failed_only: Whether tests that passed or were skipped are left out of the list.
        wanted: What names in the list contain, in any case.
        is_typing: Whether characters go into ``wanted``.
        note: What the last key did, where that is not seen.
    """

    def __init__(self) -> None:
        self.mode: Mode = "overview"
        self.has_help = False
        self.current = 0
        self.failed_only = False
        self.wanted = ""
        self.is_typing = False
        self.note = ""
        self._submissions: list[int] = []
        self._results: dict[int, dict[int, TestResult]] = {}
        self._kept = 0
        self._listed: list[TestResult] | None = None
        self._cursor = 0
        self._top = 0
        self._page = 1
        self._length = 0
        self._scrolled = 0

    def begin(self, submission_id: int) -> None:
        """Add a submission; of one that is there already, forget the results, since it is judged again."""
        if submission_id not in self._results:
            self._submissions.append(submission_id)
        self._kept -= len(self._results.get(submission_id, ()))
        self._results[submission_id] = {}
        self._listed = None

    def add(self, submission_id: int, result: TestResult) -> None:
        """Add a result: the last one of a test counts, at the place of its first."""
        results = self._results.get(submission_id)
        if results is None or (self._kept >= LISTED_MAX and result.number not in results):
            return
        self._kept += result.number not in results
        results[result.number] = result
        self._listed = None

    @property
    def is_used(self) -> bool:
        """Whether somebody is looking around."""
        return self.mode != "overview" or self.has_help

    @property
    def submission_id(self) -> int:
        """The submission that is looked at."""
        return self._submissions[self.current]

    @property
    def listed(self) -> Sequence[TestResult]:
        """The tests in the list, in the order in which they first ended."""
        if self._listed is None:
            self._listed = self._choose(self._results[self.submission_id])
        return self._listed

    def _choose(self, results: Mapping[int, TestResult]) -> list[TestResult]:
        wanted = self.wanted.casefold()
        return [
            result
            for result in results.values()
            if not (self.failed_only and test_mark(result.status).word in ("passed", "skipped"))
            and (not wanted or wanted in result.test_name.casefold() or wanted in (result.group or "").casefold())
        ]

    @property
    def total(self) -> int:
        """How many tests there are without a filter."""
        return len(self._results[self.submission_id])

    @property
    def selected(self) -> TestResult | None:
        """The test under the cursor."""
        listed = self.listed
        return listed[min(self._cursor, len(listed) - 1)] if listed else None

    def window(self, height: int) -> tuple[int, int]:
        """Return which part of the list is seen, and which row of it is under the cursor.

        Args:
            height: How many rows there is space for.
        """
        self._page = max(height, 1)
        length = len(self.listed)
        self._cursor = max(min(self._cursor, length - 1), 0)
        self._top = max(min(self._top, self._cursor, length - self._page), self._cursor - self._page + 1, 0)
        return self._top, self._cursor - self._top

    def scroll(self, length: int, height: int) -> int:
        """Return how many of the lines of a test are above those that are seen.

        Args:
            length: How many there are.
            height: How many there is space for.
        """
        self._page, self._length = max(height, 1), length
        self._scrolled = max(min(self._scrolled, length - self._page), 0)
        return self._scrolled

    def press(self, key: str) -> Action | None:
        """Take a key.

        Returns:
            What is to be done outside this view.
        """
        self.note = ""
        if self.has_help:
            self.has_help = False
            return "detach" if key == "q" else None
        if self.is_typing:
            self._type(key)
            return None
        match key:
            case "q":
                return "detach"
            case "o":
                return "open"
            case "l":
                return "output"
            case "c":
                return "copy" if self.selected is not None else None
            case "?":
                self.has_help = True
            case "escape" | "←" | "backspace":
                self._go_back()
            case "enter" | "→":
                self._go_on()
            case "n" | "p":
                self._change_submission(1 if key == "n" else -1)
            case "f" | "/":
                self._show_list()
                self.failed_only ^= key == "f"
                self.is_typing = key == "/"
            case _:
                self._move(key)
        return None

    def _type(self, key: str) -> None:
        if key == "enter":
            self.is_typing = False
            return
        if key == "escape":
            self.is_typing, self.wanted = False, ""
        elif key == "backspace":
            self.wanted = self.wanted[:-1]
        elif len(key) == 1 and key not in _NOT_TYPED and len(self.wanted) < FILTER_CHARS_MAX:
            self.wanted += key
        self._restart()

    def _go_back(self) -> None:
        if self.mode == "test":
            self.mode = "list"
        elif self.wanted or self.failed_only:
            self.wanted, self.failed_only = "", False
            self._restart()
        else:
            self.mode = "overview"

    def _go_on(self) -> None:
        if self.mode == "overview":
            self.mode = "list"
        elif self.selected is not None:
            self.mode, self._scrolled = "test", 0

    def _change_submission(self, by: int) -> None:
        self.current = (self.current + by) % len(self._submissions)
        self._show_list()

    def _show_list(self) -> None:
        self.mode = "list"
        self._restart()

    def _restart(self) -> None:
        """The list is another one from here on."""
        self._listed = None
        self._cursor = self._top = 0

    def _move(self, key: str) -> None:
        if not (key in _MOVES or key in _PAGES or key in _ENDS):
            return
        if self.mode == "overview":
            self.mode = "list"
            return
        by = _MOVES.get(key, 0) + _PAGES.get(key, 0) * self._page
        length = self._length if self.mode == "test" else len(self.listed)
        if key in _ENDS:
            by = length if _ENDS[key] else -length
        if self.mode == "test":
            self._scrolled = max(min(self._scrolled + by, length - self._page), 0)
        else:
            self._cursor = max(min(self._cursor + by, length - 1), 0)
