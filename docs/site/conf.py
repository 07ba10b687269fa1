"""Settings of Sphinx for the documentation site, which ``make docs`` builds.

The source directory is what ``python -m generate.site`` lays out, not docs/.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from subcli import __version__

project = "subcli"
author = "The subcli maintainers"
project_copyright = author
version = release = __version__
language = "en"
root_doc = "index"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["files"]
# Deep enough for every heading that a page links to, and named as the repository's host names them.
myst_heading_anchors = 4
nitpicky = True
show_warning_types = True

html_theme = "furo"
html_title = f"subcli {version}"
html_static_path = [str(Path(__file__).parent / "static")]
html_css_files = ["site.css"]
html_show_sphinx = False
# Pages say what was built, not when: the same source gives the same site.
html_last_updated_fmt = None
html_copy_source = False
html_use_index = False
# They would turn the two hyphens of an option into a dash.
smartquotes = False
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": False}
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"

linkcheck_timeout = 30
linkcheck_retries = 2
# Examples, not places.
linkcheck_ignore = [r"https?://127\.0\.0\.1", r"https?://localhost", r"https://[\w.]*\.example"]


def complete(app: Sphinx, page: str, template: str, context: dict[str, Any], document: object) -> None:
    """Give headings their level, give focus to what scrolls sideways, and load pictures late."""
    if "body" in context:
        body = context["body"].replace("<pre>", '<pre tabindex="0">')
        body = body.replace('<div class="table-wrapper ', '<div tabindex="0" class="table-wrapper ')
        # The recording starts when it is loaded: when its details are opened.
        context["body"] = body.replace("<img ", '<img loading="lazy" ')
    tree = context["furo_navigation_tree"]
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Sphinx) -> None:
    """Run after Furo, which makes its own changes to each page."""
    app.connect("html-page-context", complete, priority=900)
