"""`main` is the solution: it runs in a process of its own, and what it returns is data."""

import pytest
from main import double


@pytest.mark.title("Positive")
def test_positive():
    """A positive number."""
    assert double(4) == 8


@pytest.mark.title("Negative")
def test_negative():
    """A negative number."""
    assert double(-3) == -6
