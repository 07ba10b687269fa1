"""What keys of the live view ask for beyond the view: to stop watching, to open the page, to get the output."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from subcli.cli.runtime import Interrupts
from subcli.client.background import start_daemon_thread
from subcli.client.session import Session
from subcli.settings.config import Settings
from subcli.shared.urls import redirect_target

if TYPE_CHECKING:
    from subcli.client.feed import FeedSession

_NO_BROWSER: Final = "no browser that opens a window"


class TerminalOperator:
    """Does what keys ask for (:class:`subcli.output.live.view.Operator`).

    Args:
        interrupts: of the command, which ends as with Ctrl-C.
        settings: say at which host the pages are; ``None`` where there are none.

    Attributes:
        sessions: those that can be asked for output.
        feed: the one with which submissions share a socket.
    """

    def __init__(self, interrupts: Interrupts, settings: Settings | None) -> None:
        self._interrupts = interrupts
        self._settings = settings
        self.sessions: Sequence[Session] = ()
        self.feed: FeedSession | None = None

    def detach(self) -> None:
        """Stop watching."""
        self._interrupts.interrupt(signal.SIGINT)

    def ask_for_output(self) -> str:
        """Ask for what builds and tests print.

        Returns:
            What to do instead if it cannot be had; nothing if it comes.
        """
        for session in self.sessions:
            session.ask_for_output()
        if self.feed is None or self.feed.ask_for_output():
            return ""
        return "to see what one submission prints: `subcli watch ID --logs`"

    def open_page(self, submission_id: int, url: str) -> str:
        """Open a submission's page in the browser, unless the server sends the user elsewhere or it needs the terminal.

        Returns:
            What to say about it.
        """
        if self._settings is None:
            return "judged on this machine: there is no page"
        import webbrowser

        expected = self._settings.page_url(submission_id)
        url = url or expected
        if redirect_target(expected, url) is None:
            return f"not opened, at another host: {url}"
        try:
            browser = webbrowser.get()
        except webbrowser.Error:
            return f"{_NO_BROWSER}: {url}"
        if isinstance(browser, webbrowser.GenericBrowser) and not isinstance(browser, webbrowser.BackgroundBrowser):
            return f"{_NO_BROWSER}: {url}"
        start_daemon_thread(browser.open, url)
        return f"opening {url}"
