"""The solution runs as a node; `make_cluster` starts it, and what it answers is data."""

import pytest

from subcli.judge.harness import Violation


def check_double(make_cluster, number):
    answer = make_cluster(1).request("n1", {"type": "double", "number": number}, "double_ok")
    result = answer.body.get("result")
    if result != 2 * number:
        raise Violation(f"{number} was not doubled", expected=str(2 * number), actual=str(result))


@pytest.mark.title("Positive")
def test_positive(make_cluster):
    """A positive number."""
    check_double(make_cluster, 4)


@pytest.mark.title("Negative")
def test_negative(make_cluster):
    """A negative number."""
    check_double(make_cluster, -3)
