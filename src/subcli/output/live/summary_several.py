"""What stays at the end of several submissions: what failed in full, then a line for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from subcli.core.submission import Submission
from subcli.output.live import summary
from subcli.output.live.frame import FrameInput
from subcli.output.printable import one_line
from subcli.output.text import parts
from subcli.output.text.lines import Line, clip
from subcli.output.text.theme import QUIET, verdict_mark
from subcli.output.view import Ending

_COMMANDS: Final = 3


def final(shots: Sequence[FrameInput], width: int) -> list[Line]:
    """Details of those that did not pass, a table of all, the commands to type."""
    lines: list[Line] = []
    for shot in shots:
        if shot.ending is not None and shot.ending.exit_code:
            told = _why(shot.picture, shot.ending, width)
            if told:
                lines += [parts.title(shot.picture, width), Line(), *told]
    lines += _table(shots, width)
    ended = [shot for shot in shots if shot.ending is not None]
    passed = sum(1 for shot in ended if shot.ending and shot.ending.exit_code == 0)
    verdict = verdict_mark("passed" if passed == len(shots) else "failed")
    lines += [Line(), parts.badge(verdict).put(f"  {passed} of {len(shots)} submissions passed")]
    failed = [shot.ending for shot in ended if shot.ending and shot.ending.verdict and shot.ending.exit_code]
    if failed:
        lines.append(summary.next_commands([ending.next_command for ending in failed[:_COMMANDS]]))
    return lines


def faults(ended: Sequence[tuple[Ending, Submission | None]], width: int) -> list[Line]:
    """Why there is no verdict, said once for all submissions that it befell alike, and how to go on with them."""
    alike: dict[tuple[str, str], list[tuple[Ending, Submission | None]]] = {}
    for ending, picture in ended:
        if ending.error is not None:
            alike.setdefault((ending.error.kind, ending.error.message), []).append((ending, picture))
    lines: list[Line] = []
    for group in alike.values():
        ending, picture = group[0]
        if len(group) == 1:
            told = summary.fault(ending, picture, width, badge=True)
        else:
            ids = [ending.submission_id for ending, _ in group]
            told = summary.fault(ending, None, width, badge=True, ids=ids)
        lines += [*([Line()] if lines else []), *told]
    return lines


def _why(picture: Submission, ending: Ending, width: int) -> list[Line]:
    if ending.verdict is not None:
        return summary.failures(picture, width)
    seen = summary.so_far(picture, width)
    return [*seen, Line()] if seen else []


def _table(shots: Sequence[FrameInput], width: int) -> list[Line]:
    """A line for each: mark, id, problem, verdict, counts."""
    ids = max((len(str(shot.picture.id)) for shot in shots), default=1) + 1
    problem = min(max((len(clip(shot.picture.problem or "", 28)) for shot in shots), default=0), width // 3)
    lines = []
    for shot in shots:
        ending = shot.ending
        line = Line("- " if ending is None else "")
        told = ""
        if ending is not None:
            mark = summary.ending_mark(ending)
            line.put(f"{mark.glyph} ", mark.style)
            told = one_line(ending.error.message, 300) if ending.error is not None else ""
            if ending.verdict is not None:
                told = summary.outcome(ending.verdict, shot.picture)
        line.put(f"#{shot.picture.id}").to(2 + ids + 2).put(clip(shot.picture.problem or "", problem))
        line.to(2 + ids + 2 + problem + 2)
        if ending is not None:
            line.put(clip(mark.word, 18), mark.style).to(2 + ids + 2 + problem + 2 + 14)
        lines.append(line.put(clip(told, width - line.cells), QUIET))
    return lines
