"""The built site works without a network: nothing in it is loaded from another host."""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.support.paths import REPOSITORY

LOADED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]+src=["']?(https?:|//)|<link[^>]+rel=["']?(?:stylesheet|preconnect|icon)[^>]+"""
    r"""href=["']?(https?:|//)"""
)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mkdocs") is None, reason="make docs installs MkDocs")
def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert (tmp_path / "site/reference/job.html") in pages
    assert [str(page) for page in pages if LOADED.search(page.read_text())] == []
    assert [str(page) for page in pages if 'class="mermaid"' in page.read_text()] == []  # its script is on another host
    styles = sorted((tmp_path / "site").rglob("*.css"))
    assert styles
    assert [str(style) for style in styles if re.search(r"url\([\"']?(https?:|//)", style.read_text())] == []
