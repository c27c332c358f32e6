"""Small line charts as SVG text, and as markdown that the Dagster UI shows as a picture. Pure; needs no library.

The UI shows markdown below 1,000 characters in place and hides longer markdown behind a click. To save characters,
coordinates are integers relative to the previous point, and a long curve is drawn as the means of its parts.
"""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise

Points = Sequence[tuple[float, float]]

COLOURS = ("#26e", "#c60", "#083", "#c22", "#72d", "#08a", "#b15", "#470")
WIDTH, HEIGHT = 320, 130
LEFT, RIGHT, TOP, BOTTOM = 44, 6, 8, 18
DRAWN_POINTS = 48
LARGEST = 1e300
LEGEND_STEP, LEGEND_ROWS = 40, 5


def line_chart(curves: Mapping[str, Points], x_label: str, y_label: str) -> str:
    """An SVG with one line per named curve, in the order of their names.

    Points that are not numbers, or lie beyond `LARGEST`, are left out.
    """
    drawn = {name: thin([(x, y) for x, y in curves[name] if abs(x) < LARGEST > abs(y)]) for name in sorted(curves)}
    x_low, x_high = _bounds(x for points in drawn.values() for x, _ in points)
    y_low, y_high = _bounds(y for points in drawn.values() for _, y in points)

    def place(point: tuple[float, float]) -> tuple[int, int]:
        across, up = (point[0] - x_low) / (x_high - x_low), (point[1] - y_low) / (y_high - y_low)
        return round(LEFT + across * (WIDTH - LEFT - RIGHT)), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM))

    lines = [_curve([place(point) for point in points], index) for index, points in enumerate(drawn.values())]
    legend = [_legend(name, index) for index, name in enumerate(drawn)] if len(drawn) > 1 else []
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" font-size="10"'
            ' font-family="sans-serif" style="background:#fff">',
            _axes(x_label, y_label, (x_low, x_high), (y_low, y_high)),
            '<g fill="none" stroke-width="1.5" stroke-linecap="round">',
            *lines,
            "</g>",
            *legend,
            "</svg>",
        ]
    )


def as_markdown(svg: str, title: str) -> str:
    """Markdown with the embedded picture, for `MetadataValue.md`."""
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def thin(points: Points) -> Points:
    """At most `DRAWN_POINTS` points. A longer curve is cut into equal parts; each mean is placed at its part's end."""
    if len(points) <= DRAWN_POINTS:
        return points
    cuts = [len(points) * part // DRAWN_POINTS for part in range(DRAWN_POINTS + 1)]
    return [_mean(points[start:end]) for start, end in pairwise(cuts)]


def _mean(points: Points) -> tuple[float, float]:
    """The last x and the mean y. Each value is divided before it is added, so that the sum cannot overflow."""
    return points[-1][0], math.fsum(y / len(points) for _, y in points)


def _bounds(values: Iterable[float]) -> tuple[float, float]:
    """The lowest and highest value. If they are equal, the lowest is decreased, so that the range is not empty."""
    found = list(values) or [0.0, 1.0]
    low, high = min(found), max(found)
    return (low, high) if high > low else (low - max(1.0, abs(low)), high)


def _curve(places: Sequence[tuple[int, int]], index: int) -> str:
    """One line. A single point becomes a dot, because the line caps are round."""
    steps = [f"{here[0] - before[0]},{here[1] - before[1]}" for before, here in pairwise(places)] or ["0,0"]
    start = f"{places[0][0]},{places[0][1]}" if places else "0,0"
    path = f"M{start}l{' '.join(steps)}" if places else ""
    return f'<path d="{path}" stroke="{COLOURS[index % len(COLOURS)]}"/>'


def _legend(name: str, index: int) -> str:
    column, row = divmod(index, LEGEND_ROWS)
    x, y = WIDTH - RIGHT - LEGEND_STEP * (column + 1), TOP + 8 + 11 * row
    return f'<text x="{x}" y="{y}" fill="{COLOURS[index % len(COLOURS)]}">{escape(name)}</text>'


def _axes(x_label: str, y_label: str, x_range: tuple[float, float], y_range: tuple[float, float]) -> str:
    """Both axes, the values at their ends, and their labels."""
    floor, right, left = HEIGHT - BOTTOM, WIDTH - RIGHT, LEFT - 3
    return (
        f'<path d="M{LEFT},{TOP}V{floor}H{right}" fill="none" stroke="#999"/><g text-anchor="end">'
        f'<text x="{left}" y="{TOP + 8}">{y_range[1]:.3g}</text><text x="{left}" y="{floor}">{y_range[0]:.3g}</text>'
        f'<text x="{left}" y="{(TOP + floor) // 2}">{escape(y_label)}</text>'
        f'<text x="{right}" y="{HEIGHT - 6}">{escape(x_label)} {x_range[1]:.6g}</text></g>'
    )
