"""``python -m generate.site_links SITE``: checks the built site without a network.

Sphinx checks the links between Markdown pages. This checks what became of them: every link and picture of every HTML
page leads to a file of the site, and to an element if it names one, and nothing is loaded from another host.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

_LOADED: Final = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""The elements that a browser loads something for, and the attribute that says what."""


class _Page(HTMLParser):
    """What one page links to, loads, and can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def has(self, anchor: str) -> bool:
        """Whether a link may name this anchor. An empty one is the top of the page."""
        return not anchor or anchor in self.anchors

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the attributes of an element that matter."""
        found = {name: value for name, value in attrs if value}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if tag in _LOADED and _LOADED[tag] in found:
            self.loads.add(found[_LOADED[tag]])


def mistakes(site: Path) -> list[str]:
    """What is wrong with a site: a sentence for each broken link, and for each thing that another host would serve."""
    pages = {path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve()).as_posix()
        for target in sorted(page.links | page.loads):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                if target in page.loads and parts.scheme != "data":
                    found.append(f"{name} loads {target} from another host")
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not file.is_file():
                found.append(f"{name} links to {target}, which does not exist")
            elif file in pages and not pages[file].has(unquote(parts.fragment)):
                found.append(f"{name} links to {target}, which has no such anchor")
    return found


if __name__ == "__main__":
    wrong = mistakes(Path(sys.argv[1]))
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    sys.exit(1 if wrong else 0)
