import base64
import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assets.shown.plots import DRAWN_POINTS, HEIGHT, LARGEST, WIDTH, as_markdown, line_chart, overview_chart, thin

SVG = "{http://www.w3.org/2000/svg}"
SHOWN_IN_PLACE = 1000
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=12)
POINTS = st.lists(st.tuples(st.integers(1, 10_000), st.floats(allow_nan=True, allow_infinity=True)))


def curves_of(svg: str) -> list[list[tuple[int, int]]]:
    """The corners of each drawn line."""
    lines = []
    for path in ET.fromstring(svg).findall(f"{SVG}g/{SVG}path"):
        numbers = [int(number) for number in re.findall(r"-?\d+", path.attrib["d"])]
        corners, x, y = [], 0, 0
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + dx, y + dy
            corners.append((x, y))
        lines.append(corners)
    return lines


@given(st.dictionaries(NAMES, POINTS, max_size=9))
@example({"a": [(1, 1.7e308), (2, -1.7e308)], "b": [(1, 1e300)]})
def test_every_point_lies_inside_the_picture(curves):
    lines = curves_of(line_chart(curves, "step", "loss"))

    drawable = [[y for _, y in curves[name] if abs(y) < LARGEST] for name in sorted(curves)]
    assert [bool(line) for line in lines] == [bool(values) for values in drawable]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for line in lines for x, y in line)


def test_a_falling_loss_falls_on_the_picture():
    ((first, last),) = curves_of(line_chart({"s000": [(1, 2.0), (10, 0.5)]}, "step", "loss"))

    assert first[0] < last[0]
    assert first[1] < last[1], "SVG's y axis points down"


@pytest.mark.parametrize(
    ("losses", "ends"),
    [((2.0, 0.5), ["2", "0.5"]), ((0.69318, 0.69312), ["0.6932", "0.6931"]), ((1_250_000, 1_250_001), ["1.25M"] * 2)],
)
def test_the_ends_of_an_axis_are_told_apart_where_six_digits_can(losses, ends):
    drawn = ET.fromstring(line_chart({"s000": list(enumerate(losses, 1))}, "step", "loss"))
    texts = [text.text for text in drawn.iter(f"{SVG}text")]
    assert sorted(texts[:2]) == sorted(ends)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=500))
def test_a_long_curve_is_drawn_by_the_means_of_its_parts(losses):
    points = list(enumerate(losses, 1))
    drawn = thin(points)
    assert len(drawn) == min(len(points), DRAWN_POINTS)
    assert [x for x, _ in drawn] == sorted(x for x, _ in drawn)
    slack = 1e-9 * max(map(abs, losses))
    assert all(min(losses) - slack <= y <= max(losses) + slack for _, y in drawn)


def test_one_curve_is_short_enough_to_be_shown_in_place():
    noisy = [(step, 1234.5 * (1 + math.sin(step * step))) for step in range(1, 100_001)]
    assert len(as_markdown(line_chart({"s000": noisy}, "step", "loss"), "loss by step")) < SHOWN_IN_PLACE


@pytest.mark.parametrize("count", [1, 2, 4, 8, 9, 1000])
def test_an_overview_of_any_number_of_curves_is_short_enough_to_be_shown_in_place(count):
    curves = {
        f"s{shard:03d}": [(step, 1234.5 * (1 + math.sin(step * shard))) for step in range(99)] for shard in range(count)
    }
    picture = overview_chart(curves, "step", "loss")
    assert len(as_markdown(picture, "loss by step, one line per shard")) < SHOWN_IN_PLACE
    (line,) = curves_of(picture)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line[:2])


def test_an_overview_of_many_curves_has_their_lowest_median_and_highest():
    curves = {str(name): [(1, name), (2, 2 * name)] for name in range(101)}
    path = overview_chart(curves, "round", "loss").partition('stroke-linecap="round">')[2]
    assert path.count("M") == 3
    assert overview_chart(
        {"low": [(1, 0), (2, 0)], "middle": [(1, 50), (2, 100)], "top": [(1, 100), (2, 200)]}, "round", "loss"
    ).endswith(path)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.9, 0.647], ["0.9", "0.647"]),
        ([2002.0, 0.0], ["2k", "0"]),
        ([1.357e6], ["1.36M", "0"]),
        ([0.5], ["0.5", "0"]),
    ],
)
def test_the_ends_of_an_axis_are_short_and_a_single_value_is_seen_above_zero(values, ticks):
    svg = line_chart({"a": [(at, value) for at, value in enumerate(values, 1)]}, "round", "accuracy")
    texts = [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]
    assert texts[:2] == ticks
    (line,) = curves_of(svg)
    assert len(set(line)) > 1, "a single point is a dash"


def test_names_are_escaped():
    two = {"<b>&": [(1, 1.0)], "other": [(1, 1.0)]}
    texts = [text.text for text in ET.fromstring(line_chart(two, "x", "y")).iter(f"{SVG}text")]
    assert "<b>&" in texts


def test_equal_input_gives_equal_bytes_in_any_order():
    one, two = [(1, 1.0), (2, 0.5)], [(1, 1.5)]
    assert line_chart({"a": one, "b": two}, "x", "y") == line_chart({"b": two, "a": one}, "x", "y")


def test_markdown_holds_the_picture_itself():
    svg = line_chart({"a": [(1, 1.0)]}, "x", "y")
    title, _, data = as_markdown(svg, "loss").partition("](data:image/svg+xml;base64,")
    assert title == "![loss"
    assert base64.b64decode(data.removesuffix(")")).decode() == svg
