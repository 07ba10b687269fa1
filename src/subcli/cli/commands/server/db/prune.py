"""``subcli db prune``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from subcli.cli import exits
from subcli.cli.commands.server.database import opened_database, operator
from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.output.text.words import byte_size
from subcli.server.log.pruning import Old, Pruning
from subcli.server.observe import audit

_DAY_S: Final = 86_400


def prune(
    common: Common,
    streams: Streams,
    older_than_s: int,
    data_dir: Path | None,
    database: str | None,
    *,
    keep_verdicts: bool,
    really: bool,
) -> int:
    """Count old submissions, and delete them.

    Args:
        older_than_s: how many seconds ago they ended, at least.
        keep_verdicts: delete only code, results and output.
        really: delete; otherwise only count.

    Raises:
        UsageError: The database cannot be opened, or fails.
    """
    with opened_database(streams, data_dir, database, create=False) as engine:
        pruning = Pruning(engine, time.time)
        old = pruning.old(older_than_s, keep_verdicts=keep_verdicts)
        deleted = 0
        if really:
            for count in pruning.prune(older_than_s, keep_verdicts=keep_verdicts):
                deleted += count
            what = "details pruned" if keep_verdicts else "submissions pruned"
            audit.record(what, "done", by=operator(), submissions=deleted, older_than_s=older_than_s)
    if common.json:
        fields = {"deleted": deleted if really else None, "keep_verdicts": keep_verdicts, **_fields(old)}
        streams.print_json({"prune": fields})
    elif common.quiet:
        streams.write(f"{deleted if really else old.submissions}\n")
    else:
        streams.write(_sentences(old, deleted, older_than_s, keep_verdicts=keep_verdicts, really=really))
    return exits.OK


def _fields(old: Old) -> dict[str, int]:
    return {
        "submissions": old.submissions,
        "users": old.users,
        "problems": old.problems,
        "files_bytes": old.files_bytes,
        "kept": old.kept,
        "running": old.running,
    }


def _sentences(old: Old, deleted: int, older_than_s: int, *, keep_verdicts: bool, really: bool) -> str:
    what = "code, results and output of " if keep_verdicts else ""
    if really:
        others = f"{_many(old.kept + old.submissions - deleted, 'other')} stay as they are"
        return f"Deleted {what}{_many(deleted, 'submission')}; {others}.\n"
    age = f"{older_than_s / _DAY_S:g} days"
    submissions, users, problems = _many(old.submissions, "submission"), _many(old.users, "user"), old.problems
    running = f", {old.running} of them old but still judged" if old.running else ""
    if not old.submissions:
        return f"Nothing to delete: no submission ended more than {age} ago.\n"
    lines = [
        f"Would delete {what}{submissions} that ended more than {age} ago,",
        f"of {users}, to {_many(problems, 'problem')}, with {byte_size(old.files_bytes)} of code.",
        f"{_many(old.kept, 'other')} would stay{running}.",
        "Nothing was deleted. `--yes` deletes.",
    ]
    return "\n".join(lines) + "\n"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
