"""One call to the server, for the commands that make no more than one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, TypeVar

from subcli.cli.common import Common, with_options
from subcli.cli.streams import Streams
from subcli.core.errors import SubcliError

if TYPE_CHECKING:
    from subcli.client.client import Client

T = TypeVar("T")


def request(
    common: Common,
    streams: Streams,
    call: Callable[[Client], Coroutine[None, None, T]],
    *,
    pasted_server: str | None = None,
    timeout_s: float | None = None,
) -> T:
    """Connect, make one call, and return its answer.

    Args:
        pasted_server: see :func:`subcli.settings.config.load`.
        timeout_s: what is left of ``--timeout``.

    Raises:
        SubcliError: The call failed.
        TimeoutError: It took ``timeout_s``.
    """
    from subcli.cli.patience import Patience
    from subcli.cli.prompt import prompter_for
    from subcli.cli.runtime import Interrupts, run
    from subcli.client.connection import connect

    settings = common.settings(streams, pasted_server=pasted_server)

    async def main(_: Interrupts) -> T:
        patience = Patience(settings.server, streams)
        prompter = prompter_for(common, streams, patience)
        async with connect(settings, prompter=prompter, wait=patience) as client, patience.waiting(timeout_s):
            return await call(client)

    try:
        return run(main, streams)
    except SubcliError as error:
        error.hint = with_options(error.hint, common.for_server(pasted_server))
        raise
