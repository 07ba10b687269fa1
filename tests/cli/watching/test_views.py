"""Which view a command gets: by options, streams and environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from subcli.cli.common import Common
from subcli.cli.watching.options import Options
from subcli.cli.watching.views import make_view
from subcli.output.view import CompositeView, NullView
from tests.cli.streams import captured


@pytest.mark.parametrize(
    ("common", "options", "tty", "env", "name"),
    [
        (Common(json=True), Options(), True, {}, "NdjsonView"),
        (Common(quiet=True), Options(), True, {}, "QuietView"),
        (Common(), Options(), False, {}, "PlainView"),
        (Common(), Options(), True, {"TERM": "linux"}, "LiveView"),
        (Common(), Options(), True, {}, "PlainView"),
        (Common(), Options(plain=True), True, {"TERM": "xterm"}, "PlainView"),
        (Common(debug=True), Options(), True, {"TERM": "xterm"}, "PlainView"),
        (Common(), Options(), True, {"TERM": "xterm", "SUBCLI_DEBUG": "http"}, "PlainView"),
        (Common(), Options(), True, {"TERM": "xterm", "CI": "1"}, "PlainView"),
        (Common(), Options(), True, {"TERM": "dumb"}, "PlainView"),
        (Common(), Options(), False, {"GITHUB_ACTIONS": "true"}, "GithubView"),
    ],
)
def test_view(tmp_path: Path, common: Common, options: Options, tty: bool, env: dict[str, str], name: str) -> None:
    """Contract, section 4."""
    view = make_view(common, options, captured(tmp_path, tty=tty, **env).streams, several=False)
    assert type(view).__name__ == name
    view.close()


@pytest.mark.parametrize("notify", [False, True])
def test_views_beside(tmp_path: Path, notify: bool) -> None:
    """A report or a notification is told everything too."""
    beside = [] if notify else [NullView()]
    options = Options(notify=notify)
    view = make_view(Common(json=True), options, captured(tmp_path).streams, several=False, beside=beside)
    assert isinstance(view, CompositeView)
