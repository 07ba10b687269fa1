"""Converts Markdown to man(7): the subset that the documentation uses (headings, paragraphs, tables, lists, code)."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markdown_it.token import Token

from generate.roff import Page, bold, escaped


def to_roff(markdown: str, page: Page) -> None:
    """Write a document to the page. Its title is dropped; the text before the first heading is the DESCRIPTION."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    page.section("DESCRIPTION")
    level = ""
    rows: list[list[str]] = []
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            level = token.tag
        elif token.type == "inline" and tokens[place - 1].type == "heading_open":
            if level == "h2":
                page.section(token.content.upper())
            elif level != "h1":
                page.subsection(token.content)
        elif token.type == "inline" and tokens[place - 1].type == "paragraph_open":
            if place > 1 and tokens[place - 2].type == "list_item_open":
                page.entry("\\(bu", _inline(token))
            else:
                page.paragraph(_inline(token))
        elif token.type == "fence":
            page.code(token.content.rstrip("\n").splitlines())
        elif token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and tokens[place - 1].type in ("td_open", "th_open"):
            rows[-1].append(_inline(token))
        elif token.type == "table_close":
            _table(rows, page)


def _table(rows: list[list[str]], page: Page) -> None:
    """Write each row as an entry: the first cell is the tag, the others follow with their headings."""
    heads, *body = rows
    for first, *others in body:
        cells = [
            cell if len(others) == 1 or number == 0 else f"{head[:1].upper()}{head[1:]}: {cell}"
            for number, (head, cell) in enumerate(zip(heads[1:], others, strict=True))
            if cell
        ]
        page.entry(first, ". ".join(text.rstrip(".") for text in cells) + ".")


def _inline(token: Token) -> str:
    parts = []
    for child in token.children or []:
        if child.type == "text":
            parts.append(escaped(child.content))
        elif child.type == "code_inline":
            parts.append(bold(child.content))
        elif child.type == "softbreak":
            parts.append(" ")
    return "".join(parts)
