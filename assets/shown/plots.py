"""Small line charts as SVG text, and as markdown that the Dagster UI shows as a picture. Pure; needs no library.

The UI shows markdown below 1,000 characters in place and hides longer markdown behind a click. To save characters,
coordinates are integers relative to the previous point, and a long curve is drawn as the means of its parts.
"""

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise
from statistics import median_low

Points = Sequence[tuple[float, float]]
Place = Callable[[tuple[float, float]], tuple[int, int]]

COLOURS = ("#26e", "#c60", "#083", "#c22", "#72d", "#08a", "#b15", "#470")
WIDTH, HEIGHT = 320, 130
LEFT, RIGHT, TOP, BOTTOM = 52, 6, 8, 18
DRAWN_POINTS = 48
LARGEST = 1e300
LEGEND_STEP, LEGEND_ROWS, LETTER = 40, 5, 6
MOST_LINES, OVERVIEW_POINTS = 8, 44


def line_chart(curves: Mapping[str, Points], x_label: str, y_label: str) -> str:
    """An SVG with one line per named curve, in the order of their names, and a legend if there are several.

    Points that are not numbers, or lie beyond `LARGEST`, are left out.
    """
    drawn = {name: thin(_drawable(curves[name])) for name in sorted(curves)}
    place, axes = _frame(drawn.values(), x_label, y_label)
    lines = [_path([points], place, COLOURS[index % len(COLOURS)]) for index, points in enumerate(drawn.values())]
    step = max(LEGEND_STEP, LETTER * max((len(name) for name in drawn), default=0) + 4)
    legend = [_legend(name, index, step) for index, name in enumerate(drawn)] if len(drawn) > 1 else []
    return _svg([axes, *_lines(lines), *legend])


def overview_chart(curves: Mapping[str, Points], x_label: str, y_label: str) -> str:
    """An SVG with all curves in one colour and without their names, short enough to be shown in place.

    More than `MOST_LINES` curves are replaced by their lowest, median and highest value at each x.
    """
    found = [_drawable(curves[name]) for name in sorted(curves)]
    lines = found if len(found) <= MOST_LINES else _spread(found)
    drawn = [thin(points, max(2, OVERVIEW_POINTS // len(lines))) for points in lines]
    place, axes = _frame(drawn, x_label, y_label)
    return _svg([axes, *_lines([_path(drawn, place, COLOURS[0])])])


def as_markdown(svg: str, title: str) -> str:
    """Markdown with the embedded picture, for `MetadataValue.md`."""
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def thin(points: Points, most: int = DRAWN_POINTS) -> Points:
    """At most `most` points. A longer curve is cut into equal parts; each mean is placed at its part's end."""
    if len(points) <= most:
        return points
    cuts = [len(points) * part // most for part in range(most + 1)]
    return [_mean(points[start:end]) for start, end in pairwise(cuts)]


def _mean(points: Points) -> tuple[float, float]:
    """The last x and the mean y. Each value is divided before it is added, so that the sum cannot overflow."""
    return points[-1][0], math.fsum(y / len(points) for _, y in points)


def _bounds(values: Iterable[float]) -> tuple[float, float]:
    """The lowest and highest value. If they are equal, the range begins at 0, or below a value that is not above 0."""
    found = list(values) or [0.0, 1.0]
    low, high = min(found), max(found)
    if high > low:
        return low, high
    return (0.0, high) if high > 0 else (low - max(1.0, abs(low)), high)


def _drawable(points: Points) -> Points:
    return [(x, y) for x, y in points if abs(x) < LARGEST > abs(y)]


def _spread(lines: Sequence[Points]) -> list[Points]:
    """The lowest, the median and the highest value of several curves at each x."""
    at: dict[float, list[float]] = {}
    for x, y in (point for points in lines for point in points):
        at.setdefault(x, []).append(y)
    ordered = [(x, sorted(at[x])) for x in sorted(at)]
    return [[(x, pick(ys)) for x, ys in ordered] for pick in (min, median_low, max)]


def _frame(drawn: Iterable[Points], x_label: str, y_label: str) -> tuple[Place, str]:
    """A function from a point to its coordinates in the picture, and both axes."""
    points = [point for line in drawn for point in line]
    x_low, x_high = _bounds(x for x, _ in points)
    y_low, y_high = _bounds(y for _, y in points)

    def place(point: tuple[float, float]) -> tuple[int, int]:
        across, up = (point[0] - x_low) / (x_high - x_low), (point[1] - y_low) / (y_high - y_low)
        return round(LEFT + across * (WIDTH - LEFT - RIGHT)), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM))

    return place, _axes(x_label, y_label, (x_low, x_high), (y_low, y_high))


def _svg(parts: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" font-size="10"'
        ' font-family="sans-serif" style="background:#fff">'
    )
    return "".join([head, *parts, "</svg>"])


def _lines(paths: Iterable[str]) -> Iterable[str]:
    return ['<g fill="none" stroke-width="1.5" stroke-linecap="round">', *paths, "</g>"]


def _path(lines: Iterable[Points], place: Place, colour: str) -> str:
    """One or more lines of one colour."""
    drawn = "".join(_line([place(point) for point in points]) for points in lines if points)
    return f'<path d="{drawn}" stroke="{colour}"/>'


def _line(places: Sequence[tuple[int, int]]) -> str:
    """The path of one line. A single point becomes a dash to its left."""
    steps = [f"{here[0] - before[0]},{here[1] - before[1]}" for before, here in pairwise(places)] or ["-8,0"]
    return f"M{places[0][0]},{places[0][1]}l{' '.join(steps)}"


def _legend(name: str, index: int, step: int) -> str:
    column, row = divmod(index, LEGEND_ROWS)
    x, y = WIDTH - RIGHT - step * (column + 1), TOP + 8 + 11 * row
    return f'<text x="{x}" y="{y}" fill="{COLOURS[index % len(COLOURS)]}">{escape(name)}</text>'


def _ticks(low: float, high: float) -> tuple[str, str]:
    """Both ends of an axis, with as many digits as tell them apart, six at most."""
    for digits in (3, 4, 5):
        if (found := (_tick(low, digits), _tick(high, digits)))[0] != found[1]:
            return found
    return _tick(low, 6), _tick(high, 6)


def _tick(value: float, digits: int) -> str:
    """A number of few characters: `0.647`, `2k`, `1.36M`."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if unit <= abs(value) < 1000 * unit:
            return f"{value / unit:.{digits}g}{letter}"
    return f"{value:.{digits}g}"


def _axes(x_label: str, y_label: str, x_range: tuple[float, float], y_range: tuple[float, float]) -> str:
    """Both axes, the values at their ends, and their labels."""
    floor, right, left = HEIGHT - BOTTOM, WIDTH - RIGHT, LEFT - 3
    low, high = _ticks(*y_range)
    return (
        f'<path d="M{LEFT},{TOP}V{floor}H{right}" fill="none" stroke="#999"/><g text-anchor="end">'
        f'<text x="{left}" y="{TOP + 8}">{high}</text>'
        f'<text x="{left}" y="{floor}">{low}</text>'
        f'<text x="{left}" y="{(TOP + floor) // 2}">{escape(y_label)}</text>'
        f'<text x="{right}" y="{HEIGHT - 6}">{escape(x_label)} {x_range[1]:.6g}</text></g>'
    )
