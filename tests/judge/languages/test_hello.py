"""The commands of the judge's table, with the compilers that this machine has."""

from __future__ import annotations

import shutil
from contextlib import aclosing

import pytest

from subcli.judge import ResourceLimits, judge
from subcli.judge.languages import table
from subcli.judge.languages.language import Language
from subcli.judge.languages.versions import missing_programs
from subcli.judge.trial import hello


def is_usable(language: Language) -> bool:
    """Whether it is installed; a `rustc` of rustup's looks for a toolchain in a home that solutions do not have."""
    by_rustup = any(".cargo" in (shutil.which(program) or "") for program in language.programs)
    return not missing_programs(language) and not by_rustup


@pytest.mark.thorough
@pytest.mark.parametrize("name", [each.name for each in table.all() if is_usable(each)])
async def test_hello_is_built_and_run(name: str) -> None:
    """A program that greets passes in each language of the table that is installed."""
    job = hello(table.language(name), ResourceLimits())
    assert job is not None
    async with aclosing(judge(job)) as judging:
        events = [event async for event in judging]
    assert events[-1]["final_status"] == "passed", [event.get("detail") for event in events]


def test_each_language_has_a_hello() -> None:
    """A worker tries each language before it uses it."""
    assert all(hello(each, ResourceLimits()) is not None for each in table.all())
