"""The statement of a problem as HTML, from Markdown. HTML in it is text, and a link leads nowhere but to a website."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from subcli.server.pages.rendering import printable

_MAX_CHARACTERS: Final = 256 * 1024
_LOWEST_HEADING: Final = 6
_IS_HARMLESS: Final = re.compile(r"https?://|mailto:|[^:/?#]*(?:[/?#]|\Z)", re.IGNORECASE)
"""Addresses with these schemes, and without any (RFC 3986, section 4.2)."""


@functools.lru_cache(maxsize=256)
def to_html(markdown: str, title: str) -> Markup:
    """Render a statement.

    A heading at its beginning that repeats the title is left out. The others follow the page's own heading, without a
    level left out. Pictures are replaced by their descriptions: there is nowhere to load them from.

    Args:
        markdown: the statement; what is beyond 256 Ki characters is left out.
        title: of the problem.
    """
    tokens = _PARSER.parse(printable(markdown[:_MAX_CHARACTERS]))
    if _is_title(tokens, title):
        del tokens[:3]
    levels = sorted({token.tag for token in tokens if token.type == "heading_open"})
    for place, token in enumerate(tokens):
        if token.type == "inline" and not token.content and tokens[place - 1].type == "th_open":
            # A heading without text tells a screen reader nothing.
            tokens[place - 1].tag = tokens[place + 1].tag = "td"
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(levels.index(token.tag) + 2, _LOWEST_HEADING)}"
        elif token.attrs.pop("style", None) == "text-align:right":
            # The pages' policy allows no style in an attribute.
            token.attrs["class"] = "number"
    return Markup(_PARSER.renderer.render(tokens, _PARSER.options, {}))


def _is_title(tokens: Sequence[Token], title: str) -> bool:
    is_heading = len(tokens) > 2 and tokens[0].type == "heading_open" and tokens[0].tag == "h1"
    return is_heading and tokens[1].content.strip().casefold() == title.strip().casefold()


def _table_open(_renderer: RendererHTML, *_arguments: Any) -> str:
    # A table or a text that is wider than a phone scrolls by itself, with the keyboard too.
    return '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>\n'


def _table_close(_renderer: RendererHTML, *_arguments: Any) -> str:
    return "</table></div>\n"


def _image(renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    described = renderer.renderInlineAsText(tokens[place].children, options, env)
    return str(Markup("<em>{}</em>").format(described or "picture"))


def _pre(renderer: RendererHTML, tokens: Sequence[Token], place: int, *_arguments: Any) -> str:
    return str(Markup('<pre tabindex="0"><code>{}</code></pre>\n').format(tokens[place].content))


class _Parser(MarkdownIt):
    """Makes links of websites, of addresses for mail, and of what is relative: other schemes start programs."""

    def validateLink(self, url: str) -> bool:
        """Whether an address, as it will stand on the page, may be a link."""
        return _IS_HARMLESS.match(url) is not None


def _make_parser() -> MarkdownIt:
    parser = _Parser("commonmark", {"html": False}).enable(["table", "strikethrough"])
    for name, rule in (
        ("table_open", _table_open),
        ("table_close", _table_close),
        ("image", _image),
        ("fence", _pre),
        ("code_block", _pre),
    ):
        parser.add_render_rule(name, rule)
    return parser


_PARSER: Final = _make_parser()
