"""``subcli db check``: whether a server's database is sound. Exit code 6 if it is not."""

from __future__ import annotations

from pathlib import Path

from subcli.cli import exits
from subcli.cli.commands.server.database import existing_database
from subcli.cli.common import Common
from subcli.cli.streams import Streams
from subcli.output.printable import one_line
from subcli.server.log.checking import Check, check_database


def check(common: Common, streams: Streams, data_dir: Path | None, database: str | None) -> int:
    """Check the database and print what was found, one check at a time.

    Raises:
        UsageError: There is no database, or it does not answer.
    """
    found: list[Check] = []
    with existing_database(streams, data_dir, database) as engine:
        for each in check_database(engine):
            found.append(each)
            if not common.json and not common.quiet:
                streams.write(_lines(each))
    code = exits.of_kind("server") if any(each.faults for each in found) else exits.OK
    if common.json:
        checks = [{"name": each.name, "checked": each.what, "faults": list(each.faults)} for each in found]
        streams.print_json({"database_check": {"checks": checks, "exit_code": code}})
    elif common.quiet:
        streams.write("failed\n" if code else "ok\n")
    elif code:
        streams.write_error("Restore a backup, or keep a copy of the database and report this.\n")
    return code


def _lines(check: Check) -> str:
    state = "failed" if check.faults else "ok"
    faults = "".join(f"{'':12}{one_line(fault)}\n" for fault in check.faults)
    return f"{check.name:<12}{state:<8}{check.what}\n{faults}"
