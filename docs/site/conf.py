"""The site: the pages as they lie in the repository, searchable from a disk. `make docs` builds it; any doubt is an error."""

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "marketd"
author = "marketd"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "clients/*/README.md", "bench/README.md"]
exclude_patterns = [".*", "build", "changelog.d", "dist", "examples", "marketd-data", "src", "tests", "web", "**/node_modules"]

myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a page may begin below a second heading
pygments_style = "friendly"
pygments_dark_style = "github-dark"

html_theme = "furo"
html_title = "marketd"
html_extra_path = ["index.html"]
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {"footer_icons": [], "top_of_page_buttons": []}

CONTENTS = {"docs/index", "docs/decisions/README", "docs/moving/README"}


def setup(app: Sphinx) -> None:
    app.connect("source-read", lead_on)
    app.connect("source-read", call_by_title)


def lead_on(app: Sphinx, name: str, source: list[str]) -> None:
    """Make the tables of a page of contents the navigation: each heading a group, each row a page. A page in none is an error."""
    if name not in CONTENTS:
        return
    here = Path(name).parent.as_posix()
    for heading, text in re.findall(r"^#+ (.+?)\n(.*?)(?=^#|\Z)", source[0], re.MULTILINE | re.DOTALL):
        rows = "\n".join(re.findall(r"^\|.*", text, re.MULTILINE))
        pages = [page if page.startswith("..") else f"/{here}/{page}" for page in re.findall(r"\]\((\S+)\.md\)", rows)]
        if pages:
            source[0] += "\n".join(["\n\n```{toctree}", ":hidden:", f":caption: {heading}", "", *pages, "```\n"])


def call_by_title(app: Sphinx, name: str, source: list[str]) -> None:
    """A link that is called by its file, as in an editor, gets the title of what it leads to."""
    source[0] = re.sub(r"\[[\w./-]+\.md\](\([\w./-]+\.md(?:#[\w-]+)?\))", r"[]\1", source[0])
