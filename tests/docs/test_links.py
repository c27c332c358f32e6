"""Links of the pages lead somewhere: to a file, and to a heading in it."""

import re

import pytest

from scripts.reference.pages import PAGES
from tests.support.paths import REPOSITORY

DOCS = REPOSITORY / "docs"
TEXTS = [*sorted(REPOSITORY.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(
    r"`((?:atlas|atlas_pipelines|assets|resources|node_agent|chain_bridge|tests|scripts|examples)/[\w./-]+)`"
)
NAV = re.compile(r"(?:: |- )(\S+\.md)$", re.MULTILINE)


def without_code(text):
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """The anchors of a page's headings, as GitHub and the site make them."""
    found = set()
    for heading in re.findall(r"^#+ +(.+)$", without_code(page.read_text()), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
        found.add(words.strip().replace(" ", "-"))
    return found


def is_generated(path):
    return path.is_relative_to(DOCS) and str(path.relative_to(DOCS)) in PAGES


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_resolve(page):
    for link in LINK.findall(without_code(page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if is_generated(target):
            assert page.is_relative_to(DOCS), f"{link}: only the site has the generated pages"
            continue
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_files_that_a_page_names_are_there(page):
    # NAME stands for the file that the reader writes; a change log may name what is gone.
    named = [path for path in PATH.findall(page.read_text()) if "NAME" not in path and page.name != "CHANGELOG.md"]
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


def test_the_site_lists_every_page():
    listed = set(NAV.findall((REPOSITORY / "mkdocs.yml").read_text()))
    written = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.parent != DOCS / "decisions"}
    assert listed == {*written, *PAGES, "decisions/index.md"}


def test_the_index_lists_every_decision():
    index = (DOCS / "decisions/index.md").read_text()
    pages = {page.name for page in (DOCS / "decisions").glob("*.md")} - {"index.md"}
    assert set(re.findall(r"^\| \d{4}-\d\d-\d\d \| \[[^\]]+\]\(([a-z0-9-]+\.md)\)", index, re.MULTILINE)) == pages
