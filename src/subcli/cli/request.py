"""One call to the server, for the commands that make no more than one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from subcli.cli.common import Common

if TYPE_CHECKING:
    from subcli.client.client import Client


def ask(common: Common, call: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    """Connect, make one call, and give back its answer.

    Raises:
        SubcliError: it has none.
    """
    from subcli.cli.prompt import prompter_for
    from subcli.cli.runtime import Interrupts
    from subcli.cli.runtime import run as run_async
    from subcli.cli.watching.notices import Countdown
    from subcli.client.client import connect

    settings = common.settings()

    async def main(_: Interrupts) -> Any:
        async with connect(settings, prompter=prompter_for(common), wait=Countdown(sys.stderr)) as client:
            return await call(client)

    return run_async(main)
