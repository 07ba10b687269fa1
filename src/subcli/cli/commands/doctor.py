"""``subcli doctor``: find out why this machine cannot get a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import typer

from subcli.cli import exits
from subcli.cli.common import Common, command
from subcli.cli.streams import Streams
from subcli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from subcli.client.doctor.diagnosis import Diagnosis


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(
        app,
        "doctor",
        codes=(0, 2, 3, 4, 6, 130),
        example="subcli doctor\nsubcli doctor --server https://judge.example --json",
    )
    def doctor(common: Common, streams: Streams) -> int:
        """Check settings, server and login, and suggest fixes."""
        return run(common, streams)


def run(common: Common, streams: Streams) -> int:
    """Run all checks; the exit code is the highest among the failed ones."""
    from subcli.cli.runtime import Interrupts
    from subcli.cli.runtime import run as run_async

    show = _silent if common.json or common.quiet else _printer(streams)

    async def main(_: Interrupts) -> list[Diagnosis]:
        from subcli import __version__
        from subcli.client.doctor.diagnose import diagnose
        from subcli.client.doctor.diagnosis import Diagnosis

        try:
            settings = common.settings(streams)
            settings.require_safe_for_secrets()
        except UsageError as error:
            found = [Diagnosis("settings", "failed", error.message, error.hint, error.kind)]
            show(found[0])
            return found
        found = []
        async for finding in diagnose(settings, __version__):
            show(finding)
            found.append(finding)
        return found

    found = run_async(main, streams)
    code = max((exits.of_kind(finding.kind) for finding in found if finding.state == "failed"), default=exits.OK)
    if common.json:
        streams.print_json({"doctor": {"findings": [_fields(finding) for finding in found], "exit_code": code}})
    elif common.quiet:
        states = [finding.state for finding in found]
        streams.write(next((f"{state}\n" for state in ("failed", "warning") if state in states), "ok\n"))
    else:
        from subcli.output.pages.doctor import conclusion

        streams.console().print(conclusion([finding.state for finding in found]))
    return code


def _fields(finding: Diagnosis) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(finding).items() if name != "kind"}


def _silent(finding: Diagnosis) -> None:
    """For `--json` and `-q`, which print only the conclusion."""


def _printer(streams: Streams) -> Callable[[Diagnosis], None]:
    from subcli.output.pages.doctor import finding_lines

    console = streams.console()

    def show(finding: Diagnosis) -> None:
        console.print(finding_lines(finding.name, finding.state, finding.detail, finding.cure))

    return show
