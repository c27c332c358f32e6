"""The error of a child process that does not start."""

import os
import sys

import pytest

from resources.errors import LocalNetworkError
from resources.local.child import Child, tail


def test_the_end_of_a_log_has_the_error_and_no_stack(tmp_path):
    log = tmp_path / "chain.log"
    code = "print('reading chain.db')\ntry:\n    {}['a']\nexcept KeyError:\n    raise ValueError('page 7 is damaged')"
    child = Child("chain", [sys.executable, "-c", code], log, os.environ)
    with pytest.raises(LocalNetworkError, match=r"chain ended with exit status 1 before it was ready") as raised:
        child.wait_for_json(60)
    assert str(raised.value).splitlines()[1:] == ["reading chain.db", "KeyError: 'a'", "ValueError: page 7 is damaged"]
    assert "Traceback" in log.read_text()


def test_a_command_that_fails_with_json_is_told_in_its_words(tmp_path):
    code = """print('{"error": "There are no settings.", "log": null}')"""
    child = Child("node-1", [sys.executable, "-c", code], tmp_path / "node-1.log", os.environ)
    with pytest.raises(LocalNetworkError) as raised:
        child.wait_for_json(60)
    child.join(60)
    assert str(raised.value) == f"node-1 did not start: There are no settings. Its log is {tmp_path / 'node-1.log'}."


def test_a_log_of_nothing_says_so(tmp_path):
    assert tail(tmp_path / "none.log") == "(nothing was written)"
