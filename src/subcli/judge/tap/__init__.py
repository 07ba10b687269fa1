"""TAP, the Test Anything Protocol, version 14 (and 13): https://testanything.org/tap-version-14-specification.html"""

from subcli.judge.tap.parser import BailOut, Item, Parser, Plan, Point

__all__ = ["BailOut", "Item", "Parser", "Plan", "Point"]
