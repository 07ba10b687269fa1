"""What a default run, and CI, play of a test that shows the same for many values."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from typing import Any, TypeVar

import pytest

Value = TypeVar("Value")


def every_third(values: Iterable[Value]) -> list[Value]:
    """Every third; all of them in `make soak`, which sets ``SUBCLI_FUZZ``."""
    return list(values if os.environ.get("SUBCLI_FUZZ") else islice(values, 0, None, 3))


def first(count: int, values: Iterable[Any]) -> list[Any]:
    """For `parametrize`: so many values in every run; the others, which take lines of their own, in CI alone."""
    left = pytest.mark.thorough(measured=True)
    return [value if number < count else _marked(value, left) for number, value in enumerate(values)]


def _marked(value: Any, mark: pytest.MarkDecorator) -> Any:
    if isinstance(value, tuple):
        return pytest.param(*value, marks=mark)
    return pytest.param(value, marks=mark)
