import base64
import math
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from assets.plots import HEIGHT, WIDTH, as_markdown, line_chart

SVG = "{http://www.w3.org/2000/svg}"
POINTS = st.lists(st.tuples(st.integers(1, 10_000), st.floats(allow_nan=True, allow_infinity=True, width=32)))


def polylines(svg: str) -> list[list[tuple[float, float]]]:
    drawn = ET.fromstring(svg).findall(f"{SVG}polyline")
    return [[tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()] for line in drawn]


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=12), POINTS, max_size=9)
)
def test_every_finite_point_lies_inside_the_picture(curves):
    lines = polylines(line_chart(curves, "step", "loss"))

    assert [len(line) for line in lines] == [sum(math.isfinite(y) for _, y in curves[name]) for name in sorted(curves)]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for line in lines for x, y in line)


def test_a_falling_loss_falls_on_the_picture():
    ((first, last),) = polylines(line_chart({"s000": [(1, 2.0), (10, 0.5)]}, "step", "loss"))

    assert first[0] < last[0]
    assert first[1] < last[1], "SVG's y axis points down"


def test_names_are_escaped():
    texts = [text.text for text in ET.fromstring(line_chart({"<b>&": [(1, 1.0)]}, "x", "y")).iter(f"{SVG}text")]
    assert "<b>&" in texts


def test_equal_input_gives_equal_bytes_in_any_order():
    one, two = [(1, 1.0), (2, 0.5)], [(1, 1.5)]
    assert line_chart({"a": one, "b": two}, "x", "y") == line_chart({"b": two, "a": one}, "x", "y")


def test_markdown_holds_the_picture_itself():
    svg = line_chart({"a": [(1, 1.0)]}, "x", "y")
    title, _, data = as_markdown(svg, "loss").partition("](data:image/svg+xml;base64,")
    assert title == "![loss"
    assert base64.b64decode(data.removesuffix(")")).decode() == svg
