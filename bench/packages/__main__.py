"""Does the judge say of packages what problemtools says? `python -m bench.packages [DIRECTORY ...]`

Packages of our own, with what the format has and with what may be broken, and packages made at random, go through both.
Every submission must end in the same verdict, with the same score where it is accepted, and so must every group and
every case. Where the two differ on purpose, `docs/problems.md` says why, and so does `made.DIFFERENCES`. Directories
given as arguments are compared instead; problemtools wants a `languages.yaml` beside them, as in `judges.LANGUAGES`.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.packages import made
from bench.packages.chance import at_random
from bench.packages.judges import LANGUAGES, ORACLE, Node, Nodes, Said, ours, theirs
from subcli.judge.sandbox import Sandbox
from subcli.judge.sandbox.choice import choose

_SCORE_ERROR: Final = 1e-5
"""The default grader prints six decimals."""


@dataclass(frozen=True)
class Row:
    """One comparison. `agree`: whether both say the same."""

    package: str
    what: str
    ours: str
    theirs: str
    agree: bool

    def text(self) -> str:
        """A line of the table."""
        word = "yes" if self.agree else f"no: {made.DIFFERENCES.get(self.package, 'WHY?')}"
        return f"{self.package:<24} {self.what:<44} {self.ours:<22} {self.theirs:<22} {word}"


def compare(package: str, mine: Said, their: Said) -> Iterator[Row]:
    """One row for the package, if it is refused, and else one for each submission."""
    if not mine.submissions or not their.submissions:
        left, right = ("refused" if said.refusal else "accepted" for said in (mine, their))
        yield Row(package, (mine.refusal or their.refusal)[:44], left, right, left == right)
        return
    for name in sorted({*mine.submissions, *their.submissions}):
        yield _submission(package, name, mine.submissions.get(name, {}), their.submissions.get(name, {}))


def _submission(package: str, name: str, mine: Nodes, their: Nodes) -> Row:
    if mine is None or their is None:
        return Row(package, name, _shown(mine), _shown(their), mine is their)
    wrong = next(_different(mine, their), "")
    if not wrong or wrong == "/":
        return Row(package, name, _shown(mine), _shown(their), not wrong)
    left, right = (f"{_shown(nodes)}; {wrong} {_node(nodes.get(wrong))}" for nodes in (mine, their))
    return Row(package, name, left, right, agree=False)


def _different(mine: Mapping[str, Node], their: Mapping[str, Node]) -> Iterator[str]:
    """The names of what is not the same, the whole last."""
    for name in sorted({*mine, *their}, reverse=True):
        left, right = mine.get(name), their.get(name)
        if left is None or right is None or not set(left.codes) & set(right.codes):
            yield name
        elif name == "/" and "AC" not in left.codes:
            # Who is not accepted as a whole has no points in the end, whatever a grader says.
            continue
        elif left.score is not None and abs(left.score - (right.score or 0.0)) > _SCORE_ERROR:
            yield name


def _shown(nodes: Nodes) -> str:
    if nodes is None:
        return "not built"
    return _node(nodes.get("/")) if nodes else "not judged"


def _node(node: Node | None) -> str:
    if node is None:
        return "-"
    return node.codes[0] + (f" {node.score:g}" if node.score is not None and "AC" in node.codes else "")


def main() -> int:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.packages")
    parser.add_argument("--oracle", type=Path, default=ORACLE)
    parser.add_argument("--random", type=int, default=60, metavar="COUNT", help="packages made at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sandbox", choices=[each.value for each in Sandbox], default="none")
    parser.add_argument("--only", default="", help="packages whose names contain this")
    parser.add_argument("directories", type=Path, nargs="*")
    options = parser.parse_args()
    starter = choose(Sandbox(options.sandbox), for_others=False).starter
    with tempfile.TemporaryDirectory() as base:
        root = Path(base)
        (root / "languages.yaml").write_text(LANGUAGES)
        packages = itertools.chain(made.PACKAGES, at_random(options.random, options.seed))
        directories = [path.resolve() for path in options.directories] or [
            each.write(root) for each in packages if options.only in each.name
        ]
        rows: list[Row] = []
        print(f"{'package':<24} {'submission':<44} {'ours':<22} {'theirs':<22} agree")
        for directory, their in zip(directories, theirs(directories, options.oracle), strict=True):
            for row in compare(directory.name, ours(directory, starter), their):
                rows.append(row)
                print(row.text(), flush=True)
    agreed = sum(row.agree for row in rows)
    known = sum(not row.agree and row.package in made.DIFFERENCES for row in rows)
    print(f"{len(rows)} rows: {agreed} agree, {known} differ for a reason, {len(rows) - agreed - known} do not agree")
    return 0 if agreed + known == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
