"""HTML from templates: everything that is put into one is escaped, and hidden characters become visible."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from subcli.server.pages import words
from subcli.shared.encoding import INVISIBLE

if TYPE_CHECKING:
    from jinja2 import Environment

PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    # With `no-referrer`, browsers would send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
}
_HIDDEN: Final = re.compile(f"[{INVISIBLE}\ud800-\udfff]")
"""Control characters, what reorders or hides text, and halves of surrogate pairs: as in `static/dom.js`."""


def printable(text: str) -> str:
    """Show what is hidden in a text, as `\\u202e`."""
    return _HIDDEN.sub(lambda found: _escaped(ord(found[0])), text)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _shown(value: object) -> object:
    """What a template writes for a value."""
    return value if isinstance(value, Markup | int) else printable(str(value))


def _time(seconds: float) -> Markup:
    """A time in UTC, which scripts turn into that of the reader."""
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat().replace("+00:00", "Z"), at.strftime("%Y-%m-%d %H:%M UTC")
    )


@functools.cache
def _environment() -> Environment:
    # 2 MB that a server whose users have the command line never needs.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("subcli.server.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"time": _time, "words": words.words}
    return made


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page.

    Args:
        template: the file in `templates/`.
        values: what it shows.
    """
    html = _environment().get_template(template).render(up=_up(request), **values)
    return HTMLResponse(html, status, headers=PAGE_HEADERS)


def error_page(request: Request, status: int, detail: str) -> HTMLResponse:
    """A page that says in a sentence what went wrong. It does not say who is logged in: nobody may have looked."""
    return page(request, "error.html", status, visitor={"name": ""}, heading=_heading(status), detail=detail)


def _heading(status: int) -> str:
    try:
        return "Not found" if status == HTTPStatus.NOT_FOUND else HTTPStatus(status).phrase
    except ValueError:
        return f"Error {status}"


def _up(request: Request) -> str:
    """The relative way to the home page: a proxy may show the server below a path that it hides from us."""
    depth = request.scope["raw_path"].count(b"/") - 1
    return "../" * depth or "./"
