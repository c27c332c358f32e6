"""MkDocs hook: adds the generated pages, and turns links that leave docs/ into the names of the files."""

import re
from typing import Any

from mkdocs.structure.files import File, Files

from scripts.reference.pages import PAGES

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+((?:[a-z_]+/|README|CONTRIBUTING|CHANGELOG|SECURITY)[^)]*)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add every generated page."""
    for path, write in PAGES.items():
        files.append(File.generated(config, path, content=write()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """A site has no source files to link to; their paths stay readable."""

    def named(match: re.Match[str]) -> str:
        inside = "/".join((*page.file.src_uri.split("/")[:-1], ".."))
        leaves = match[0].count("../") > inside.count("/")
        return f"{match[1]} (`{match[2]}`)" if leaves else match[0]

    return _OUTSIDE.sub(named, markdown)
