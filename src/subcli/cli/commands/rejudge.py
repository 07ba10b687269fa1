"""``subcli rejudge``: have submissions judged again, for teachers.

Without ``--yes`` it only counts, so a script or a slip changes nothing. The server takes a few submissions at a time;
all requests carry one key, so a request that is repeated, and a command that is repeated with ``--key``, judges nothing
twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from subcli.cli import exits
from subcli.cli.common import Common, command, submission_id
from subcli.cli.moment import moment
from subcli.cli.request import request
from subcli.cli.streams import Streams
from subcli.core.errors import NotFoundError, ServerError, SubcliError, UsageError

if TYPE_CHECKING:
    from subcli.client.client import Client

_AT_ONCE: Final = 100
"""How many single submissions a request names."""


class Chosen(NamedTuple):
    """What to judge again: single submissions, or those to a problem."""

    ids: Sequence[int] = ()
    problem: str | None = None
    verdict: str | None = None
    since: str | None = None

    def bodies(self) -> list[dict[str, Any]]:
        """The requests that name all of it."""
        if self.problem is None:
            ids = list(dict.fromkeys(self.ids))
            return [{"submissions": ids[start : start + _AT_ONCE]} for start in range(0, len(ids), _AT_ONCE)]
        given = {"problem": self.problem, "verdict": self.verdict, "since": self.since}
        return [{name: value for name, value in given.items() if value is not None}]


def register(app: typer.Typer) -> None:
    """Register the command."""

    @command(app, "rejudge", example="subcli rejudge 12 13\nsubcli rejudge --problem lru-cache --verdict failed --yes")
    def rejudge(
        common: Common,
        streams: Streams,
        ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Submissions to judge again.")] = None,
        problem: Annotated[
            str | None, typer.Option("--problem", metavar="PROBLEM", help="All submissions to this id or slug.")
        ] = None,
        verdict: Annotated[
            str | None, typer.Option("--verdict", metavar="VERDICT", help="Of these, only those with this verdict.")
        ] = None,
        since: Annotated[
            str | None,
            typer.Option("--since", metavar="TIME", parser=moment, help="Only newer ones: 7d, or 2026-11-28."),
        ] = None,
        yes: Annotated[bool, typer.Option("--yes", help="Do it. Without this, they are only counted.")] = False,
        key: Annotated[
            str | None, typer.Option("--key", metavar="KEY", help="Go on with an interrupted rejudge; with `--yes`.")
        ] = None,
    ) -> int:
        """Have submissions judged again, for teachers."""
        if bool(ids) == (problem is not None):
            raise UsageError("Name either submissions or a problem.", hint="`subcli rejudge --help`")
        if problem is None and (verdict is not None or since is not None):
            raise UsageError("`--verdict` and `--since` need `--problem`.", hint="`subcli rejudge --help`")
        if key is not None and not yes:
            raise UsageError("`--key` needs `--yes`.", hint="Without `--yes`, nothing is judged again.")
        chosen = Chosen([submission_id(text) for text in ids or ()], problem, verdict, since)
        return run(common, streams, chosen, yes=yes, key=key)


def run(common: Common, streams: Streams, chosen: Chosen, *, yes: bool = False, key: str | None = None) -> int:
    """Count submissions and, with ``yes``, have them judged again.

    Args:
        key: of an earlier request that was interrupted.

    Raises:
        SubcliError: one of them does not exist, or the server refuses.
    """
    key = key or str(uuid.uuid4())
    done: dict[str, int] = {"queued": 0, "repeated": 0, "unfinished": 0}

    async def call(client: Client) -> dict[str, Any]:
        await client.require_feature("rejudge", "judge submissions again")
        counted = await _counted(client, chosen)
        if yes and counted["matched"]:
            await _judge_again(client, chosen, key, done)
        return counted

    try:
        counted = request(common, streams, call)
    except SubcliError as error:
        if done["queued"] or done["repeated"]:
            error.message = f"{error.message} {done['queued'] + done['repeated']} submissions are queued."
            error.hint = f"The same command with `--key {key}` goes on. {error.hint}".strip()
        raise
    queued = done["queued"] + done["repeated"]
    if common.json:
        more = {"key": key} if yes else {}
        streams.print_json({"rejudge": {**counted, "dry_run": not yes, "queued": queued, **more}})
    elif common.quiet:
        streams.write(f"{queued if yes else counted['matched']}\n")
    elif yes:
        streams.write(f"{_submissions(queued)} will be judged again, after those that were never judged.\n")
    else:
        streams.write(f"{_described(counted)}\n")
        streams.write_error("Nothing was changed. The same command with `--yes` has them judged again.\n")
    return exits.OK


async def _counted(client: Client, chosen: Chosen) -> dict[str, Any]:
    total: dict[str, Any] = {"matched": 0, "unfinished": 0, "verdicts": {}}
    answers = [await client.api.rejudge({**body, "dry_run": True}) for body in chosen.bodies()]
    for answer in answers:
        if unknown := _number(answer, "unknown"):
            what = "One of these submissions does" if unknown == 1 else f"{unknown} of these submissions do"
            raise NotFoundError(f"{what} not exist.", hint="`subcli list --all` shows what there is.")
        total["matched"] += _number(answer, "matched")
        total["unfinished"] += _number(answer, "unfinished")
        verdicts = answer.get("verdicts")
        for verdict, count in verdicts.items() if isinstance(verdicts, dict) else ():
            total["verdicts"][verdict] = total["verdicts"].get(verdict, 0) + (count if isinstance(count, int) else 0)
    if len(answers) == 1:
        total["users"] = _number(answers[0], "users")
    return total


async def _judge_again(client: Client, chosen: Chosen, key: str, done: dict[str, int]) -> None:
    for body in chosen.bodies():
        cursor: str | None = None
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            answer = await client.api.rejudge({**body, **more, "dry_run": False, "key": key})
            for name in done:
                done[name] += _number(answer, name)
            following = answer.get("next_cursor")
            if not isinstance(following, str):
                break
            if following == cursor:
                raise ServerError("The server repeats itself.", hint="`subcli doctor` checks the server.")
            cursor = following


def _number(answer: Mapping[str, Any], name: str) -> int:
    value = answer.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _submissions(count: int) -> str:
    return "1 submission" if count == 1 else f"{count:,} submissions"


def _described(counted: Mapping[str, Any]) -> str:
    from subcli.output.printable import one_line

    verdicts = ", ".join(f"{count:,} {one_line(verdict, 40)}" for verdict, count in counted["verdicts"].items())
    users = counted.get("users")
    whose = f" of {users:,} {'user' if users == 1 else 'users'}" if users else ""
    text = f"{_submissions(counted['matched'])}{whose}{f': {verdicts}' if verdicts else ''}."
    if counted["unfinished"]:
        text += f" {counted['unfinished']:,} more have no verdict yet and are left alone."
    return text
