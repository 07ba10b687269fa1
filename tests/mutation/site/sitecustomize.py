"""Makes every Python process that a test starts the mutant that the tests are about."""

from __future__ import annotations

from mutmut.mutation import trampoline

from tests.mutation import switch


def _note(name: str, caller: str | None = None) -> None:
    switch.note(name)


_mutant = switch.under_test()
if _mutant:
    trampoline.set_mutant_under_test(_mutant)
if _mutant == "stats":
    vars(trampoline)["record_trampoline_hit"] = _note
