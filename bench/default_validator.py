"""Does the built-in comparison accept what the default validator of Kattis accepts? `python -m bench.default_validator`

Random answers and outputs, options and tolerances, go through `judge.cases.compare` and through the program that
problemtools brings along. The two must agree; where they do not, the smallest such pair is printed.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subcli.judge.cases.compare import compare
from subcli.judge.cases.model import Comparison

ORACLE: Final = Path(".venv/oracle/problemtools/support/default_validator")
_ACCEPTED: Final = 42
_REFUSED: Final = 43

_WORDS: Final = """
a A aB Ab inf INF nan nan(1) 1 -1 +1 1.0 1.0000001 1. .5 . + 1e 1E+ 1e-400 1e400 1e308 -1e308 0 -0 0e9999999999
1_0 1,0 ++1 1e1.5 1e5e e5 1d0 0x 0x1 0X1P1 0x1p 0x1p+ 0x. 0x.p 0x.8 0xp1 0x1.8e1 0x1p99999 0x0p99999 0x1p-99999 0x_1
0x1.fffffffffffff8p1023 0x1.fffffffffffff7p1023
"""
_words = st.sampled_from(_WORDS.split()).map(str.encode)
_digits = st.text("0123456789.eE+-xXpPaf", min_size=1, max_size=8).map(str.encode)
_numbers = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: repr(number).encode())
_bytes = st.binary(min_size=1, max_size=4)
_tokens = st.one_of(_words, _digits, _numbers, _bytes)
_spaces = st.sampled_from([b" ", b"\n", b"\t", b"\r\n", b"\v", b"\f", b"  ", b""])
_texts = st.lists(st.tuples(_spaces, _tokens), max_size=4).flatmap(
    lambda parts: _spaces.map(lambda end: b"".join(space + token for space, token in parts) + end)
)
_tolerances = st.sampled_from([None, None, 0.0, 1e-6, 1e-3, 1.0, 10.0, 1e300, -1.0])
_comparisons = st.builds(
    Comparison,
    case_sensitive=st.booleans(),
    space_change_sensitive=st.booleans(),
    absolute_tolerance=_tolerances,
    relative_tolerance=_tolerances,
)


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """An answer, and an output that often differs from it in one token only."""
    answer = draw(_texts)
    if draw(st.booleans()):
        return answer, draw(_texts)
    tokens = answer.split()
    if not tokens:
        return answer, draw(_spaces)
    return answer, answer.replace(draw(st.sampled_from(tokens)), draw(_tokens), 1)


class Oracle:
    """The default validator of Kattis.

    Args:
        program: Where it lies.
        directory: Where its files may be written.
    """

    def __init__(self, program: Path, directory: Path) -> None:
        self._program = program.resolve()
        self._directory = directory
        (directory / "feedback").mkdir()
        (directory / "input").touch()

    def accepts(self, output: bytes, answer: bytes, comparison: Comparison) -> bool:
        """Whether it accepts the output."""
        (self._directory / "answer").write_bytes(answer)
        arguments = [flag for flag in ("case_sensitive", "space_change_sensitive") if getattr(comparison, flag)]
        for name in ("absolute", "relative"):
            tolerance = getattr(comparison, f"{name}_tolerance")
            if tolerance is not None:
                arguments += [f"float_{name}_tolerance", repr(tolerance)]
        command = [str(self._program), "input", "answer", "feedback", *arguments]
        code = subprocess.run(command, input=output, cwd=self._directory, check=False).returncode
        assert code in (_ACCEPTED, _REFUSED), code
        return code == _ACCEPTED


def run(oracle: Oracle, count: int) -> None:
    """Compare so many pairs.

    Raises:
        AssertionError: If the two do not agree.
    """

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=False, suppress_health_check=list(HealthCheck)
    )
    @given(_pairs(), _comparisons)
    def agree(pair: tuple[bytes, bytes], comparison: Comparison) -> None:
        answer, output = pair
        difference = compare(output, answer, comparison)
        if difference is not None:
            assert difference.message
        assert (difference is None) == oracle.accepts(output, answer, comparison)

    agree()


def main() -> None:
    """Compare, and say how many pairs agreed."""
    parser = argparse.ArgumentParser(prog="python -m bench.default_validator")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--oracle", type=Path, default=ORACLE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        run(Oracle(options.oracle, Path(directory)), options.count)
    print(f"{options.count} pairs: the two agree")


if __name__ == "__main__":
    main()
