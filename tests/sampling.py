"""What a default run plays of a test that shows the same for many values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """For `parametrize`: so many values in every run; the others, which take lines of their own, in CI alone."""
    left = pytest.mark.thorough(measured=True)
    return [value if number < count else _marked(value, left) for number, value in enumerate(values)]


def _marked(value: Any, mark: pytest.MarkDecorator) -> Any:
    if isinstance(value, tuple):
        return pytest.param(*value, marks=mark)
    return pytest.param(value, marks=mark)
