import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from atlas.terminal.console import WordConsole
from atlas.terminal.tables import Column, numbers, print_fields, print_table, texts

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
PATH = "/a/folder/with-a-long-name/of-several-parts/and.a-file"
SENTENCE = f"The copy at {PATH} cannot be read as {CID}: it was cut short, so fetch it again."


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_terminal(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    return WordConsole(Terminal())


@pytest.mark.parametrize("width", [20, 60, 80, 120])
def test_a_line_breaks_between_words_only(monkeypatch, width):
    console = on_terminal(monkeypatch, width)
    console.print(SENTENCE)
    lines = console.file.getvalue().splitlines()
    assert " ".join(" ".join(lines).split()) == SENTENCE
    assert len(lines) > 1 or width > len(SENTENCE)
    assert all(len(line.rstrip()) <= width or len(line.split()) == 1 for line in lines)
    assert CID in console.file.getvalue()
    assert PATH in console.file.getvalue()


def test_a_pipe_gets_one_line_for_a_text(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    console = WordConsole(io.StringIO())
    console.print(SENTENCE)
    assert console.file.getvalue() == SENTENCE + "\n"


COLUMNS = [*texts("name", "checkpoint"), *numbers("rows"), Column("why", prose=True)]
ROWS = [["one", CID, "12", "it was refused by the norm"], ["two", "", "1,234", ""]]


def printed(console, *arguments):
    print_table(console, *arguments)
    return re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())


def test_a_table_that_fits_has_a_line_for_each_row(monkeypatch):
    lines = printed(on_terminal(monkeypatch, 120), COLUMNS, ROWS, "a title").splitlines()
    assert lines[0] == "a title"
    assert lines[1].split() == ["name", "checkpoint", "rows", "why"]
    assert lines[2].split()[:3] == ["one", CID, "12"]
    assert len(lines) == 4


def test_prose_takes_several_lines_before_a_table_is_given_up(monkeypatch):
    shown = printed(on_terminal(monkeypatch, 90), COLUMNS, ROWS)
    assert shown.splitlines()[0].split() == ["name", "checkpoint", "rows", "why"]
    assert len(shown.splitlines()) > 3


def test_a_table_that_does_not_fit_shows_one_field_a_line(monkeypatch):
    lines = printed(on_terminal(monkeypatch, 60), COLUMNS, ROWS).splitlines()
    assert lines[0] == "name        one"
    assert any(line.endswith(CID) for line in lines)
    assert "rows        1,234" in lines
    assert "" in lines


def test_a_pipe_gets_a_line_for_each_row():
    shown = printed(WordConsole(io.StringIO()), COLUMNS, ROWS)
    assert len(shown.splitlines()) == 3


def test_no_markup_is_read_in_cells():
    assert "[bold]" in printed(WordConsole(io.StringIO()), texts("name"), [["[bold]"]])


def test_fields_stand_below_each_other():
    console = WordConsole(io.StringIO())
    print_fields(console, [("a", "1"), ("longer", "2")])
    assert console.file.getvalue() == "a       1\nlonger  2\n"


words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=30)


@given(st.lists(st.tuples(words, words), min_size=1, max_size=4), st.integers(20, 120))
def test_no_cell_is_ever_cut(rows, width):
    with pytest.MonkeyPatch.context() as patch:
        shown = printed(on_terminal(patch, width), texts("first", "second"), rows)
    for cells in rows:
        for cell in cells:
            assert cell in shown
    if "first" in shown.splitlines()[0] and "second" in shown.splitlines()[0]:
        assert all(cell_len(line) <= width for line in shown.splitlines())
