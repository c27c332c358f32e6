"""Small line charts as SVG text, and as markdown that the Dagster UI shows as a picture. Pure; needs no library."""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f")
WIDTH, HEIGHT = 520, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 34
LEGEND_STEP, LEGEND_ROWS = 96, 5


def line_chart(curves: Mapping[str, Points], x_label: str, y_label: str) -> str:
    """An SVG with one line per named curve, in the order of their names. Points that are not finite are left out."""
    drawn = {name: [point for point in curves[name] if all(map(math.isfinite, point))] for name in sorted(curves)}
    x_low, x_high = _bounds(x for points in drawn.values() for x, _ in points)
    y_low, y_high = _bounds(y for points in drawn.values() for _, y in points)

    def place(point: tuple[float, float]) -> tuple[float, float]:
        across = (point[0] - x_low) / (x_high - x_low)
        up = (point[1] - y_low) / (y_high - y_low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    lines = [
        _curve(name, [place(point) for point in points], index) for index, (name, points) in enumerate(drawn.items())
    ]
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
            ' font-family="sans-serif" font-size="11">',
            '<rect width="100%" height="100%" fill="white"/>',
            _axes(x_label, y_label, (x_low, x_high), (y_low, y_high)),
            *lines,
            "</svg>",
        ]
    )


def as_markdown(svg: str, title: str) -> str:
    """Markdown with the picture inside it, fit for `MetadataValue.md`."""
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def _bounds(values: Iterable[float]) -> tuple[float, float]:
    """Lowest and highest value, set apart when they are equal, so that a scale exists."""
    found = list(values) or [0.0, 1.0]
    low, high = min(found), max(found)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _curve(name: str, points: Points, index: int) -> str:
    """One line with its name in the legend; a lone point is drawn as a dot."""
    colour = COLOURS[index % len(COLOURS)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in points[-1:])
    column, row = divmod(index, LEGEND_ROWS)
    x, y = WIDTH - RIGHT - LEGEND_STEP * (column + 1), TOP + 10 + 14 * row
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>{dots}'
        f'<text x="{x}" y="{y}" fill="{colour}">{escape(name)}</text>'
    )


def _axes(x_label: str, y_label: str, x_range: tuple[float, float], y_range: tuple[float, float]) -> str:
    """Both axes with their labels and the values at their ends."""
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    return (
        f'<path d="M{LEFT},{TOP} V{floor} H{right}" fill="none" stroke="#9ca3af"/>'
        f'<text x="{LEFT - 4}" y="{TOP + 8}" text-anchor="end">{y_range[1]:.3g}</text>'
        f'<text x="{LEFT - 4}" y="{floor}" text-anchor="end">{y_range[0]:.3g}</text>'
        f'<text x="{LEFT}" y="{floor + 14}">{x_range[0]:.6g}</text>'
        f'<text x="{right}" y="{floor + 14}" text-anchor="end">{x_range[1]:.6g}</text>'
        f'<text x="{(LEFT + right) / 2}" y="{floor + 28}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text x="14" y="{(TOP + floor) / 2}" text-anchor="middle"'
        f' transform="rotate(-90 14 {(TOP + floor) / 2})">{escape(y_label)}</text>'
    )
