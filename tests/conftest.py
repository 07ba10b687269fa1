"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """With SUBCLI_TEST_ALL, as CI sets it, a skipped test is a failure: what it needs has to be installed."""
    report = yield
    if report.skipped and os.environ.get("SUBCLI_TEST_ALL"):
        report.outcome = "failed"
        report.longrepr = f"SUBCLI_TEST_ALL is set, and this was skipped: {report.longrepr}"
    return report
