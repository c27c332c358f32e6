"""Plots as SVG text: lines over logarithmic axes, and dots with ranges by category. No library."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#1559c9", "#d1670a", "#0b8043", "#c22b2b", "#7d3ac1", "#0f8b9d")
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 56, 44
PLOT_WIDTH, LINE_HEIGHT, ROW = 560, 260, 24

Dot = tuple[float, float, float]
"""Value, and the ends of its range."""


@dataclass(frozen=True)
class Axis:
    """Maps values to coordinates along one axis."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """The coordinate of a value, clamped to the ends of the axis."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Powers of ten, or tenths."""
        if self.logarithmic:
            return [10.0**power for power in range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)]
        return [tenth / 10 for tenth in range(round(10 * self.low), round(10 * self.high) + 1)]


def line_chart(title: str, curves: Mapping[str, Sequence[tuple[float, float]]], x_label: str) -> str:
    """One line per curve, both axes logarithmic; the title names the quantity of the vertical axis."""
    xs, ys = zip(*(point for points in curves.values() for point in points), strict=True)
    across = Axis(*_decades(xs), LEFT, LEFT + PLOT_WIDTH, logarithmic=True)
    up = Axis(*_decades(ys), TOP + LINE_HEIGHT, TOP, logarithmic=True)
    parts = [*_vertical(across, TOP, TOP + LINE_HEIGHT), *_horizontal(up)]
    for colour, points in zip(COLOURS, curves.values(), strict=False):
        places = [(across.place(x), up.place(y)) for x, y in points]
        path = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>' for x, y in places]
    label = _text(LEFT + PLOT_WIDTH / 2, TOP + LINE_HEIGHT + 36, x_label, "middle")
    return _svg(title, LEFT, TOP + LINE_HEIGHT + BOTTOM, list(curves), [*parts, label])


def dot_chart(
    title: str, rows: Mapping[str, Mapping[str, Dot]], x_label: str, ends: tuple[float, float], left: int = 210
) -> str:
    """One line per row with a dot for each series; a range is drawn where its ends differ."""
    series = list(dict.fromkeys(name for dots in rows.values() for name in dots))
    bottom = TOP + ROW * len(rows)
    across = Axis(*ends, left, left + PLOT_WIDTH)
    parts = _vertical(across, TOP, bottom)
    for number, (name, dots) in enumerate(rows.items()):
        middle = TOP + ROW * (number + 0.5)
        parts.append(_text(left - 10, middle + 4, name, "end"))
        parts.append(f'<path d="M{left},{middle}h{PLOT_WIDTH}" stroke="#eee"/>')
        for place, label in enumerate(series):
            if label in dots:
                y = middle + (place - (len(series) - 1) / 2) * min(4.0, (ROW - 8) / len(series))
                parts += _dot(dots[label], across, round(y, 1), COLOURS[place])
    parts.append(_text(left + PLOT_WIDTH / 2, bottom + 36, x_label, "middle"))
    return _svg(title, left, bottom + BOTTOM, series, parts)


def _dot(dot: Dot, across: Axis, y: float, colour: str) -> list[str]:
    value, low, high = dot
    ends = f'<path d="M{across.place(low)},{y}H{across.place(high)}" stroke="{colour}" stroke-width="2"/>'
    circle = f'<circle cx="{across.place(value)}" cy="{y}" r="4" fill="{colour}"/>'
    return [ends, circle] if high > low else [circle]


def _vertical(axis: Axis, top: float, bottom: float) -> list[str]:
    found = []
    for tick in axis.ticks():
        x = axis.place(tick)
        found += [f'<path d="M{x},{top}V{bottom}" stroke="#ddd"/>', _text(x, bottom + 16, f"{tick:g}", "middle")]
    return found


def _horizontal(axis: Axis) -> list[str]:
    found = []
    for tick in axis.ticks():
        y = axis.place(tick)
        found += [f'<path d="M{LEFT},{y}h{PLOT_WIDTH}" stroke="#ddd"/>', _text(LEFT - 8, y + 4, f"{tick:g}", "end")]
    return found


def _decades(values: Sequence[float]) -> tuple[float, float]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return 10.0**low, 10.0 ** max(high, low + 1)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{round(x, 1)}" y="{round(y, 1)}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, left: int, height: int, series: Sequence[str], parts: Sequence[str]) -> str:
    width = left + PLOT_WIDTH + RIGHT
    legend, x = [], float(left)
    for colour, name in zip(COLOURS, series, strict=False):
        legend.append(f'<circle cx="{x + 4}" cy="36" r="4" fill="{colour}"/>{_text(x + 12, 40, name, "start")}')
        x += 26 + 6.4 * len(name)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'font-family="sans-serif" font-size="12" fill="#222"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="{left}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>'
    )
    return "\n".join([head, *legend, *parts, "</svg>\n"])
