"""Plots as inline SVG: no script, no font, no colour of their own (style.py has those)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .metrics import Bin, RiskPoint, percentile

_WIDTH, _HEIGHT = 360, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 18, 44
_UNIT_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to pixels; ``log`` takes decades for equal steps."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (at - low) / (high - low) * (self.end - self.start)


def _across(low: float, high: float, log: bool = False) -> _Scale:
    return _Scale(low, high, _LEFT, _WIDTH - _RIGHT, log)


def _up(low: float, high: float) -> _Scale:
    return _Scale(low, high, _HEIGHT - _BOTTOM, _TOP)


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{_number(x)}" y="{_number(y)}">{text}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    ends = zip(("x1", "y1", "x2", "y2"), (x1, y1, x2, y2), strict=True)
    return f'<line class="{kind}" ' + " ".join(f'{k}="{_number(v)}"' for k, v in ends) + "/>"


def _dot(x: float, y: float) -> str:
    return f'<circle class="dot" cx="{_number(x)}" cy="{_number(y)}" r="3.2"/>'


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Points joined by steps: across first, then up or down."""
    x, y = points[0]
    steps = "".join(f"H{_number(x)}V{_number(y)}" for x, y in points[1:])
    return f'<path class="curve" d="M{_number(x)},{_number(y)}{steps}"/>'


def _plot(
    label: str,
    axes: tuple[str, str],
    x: tuple[_Scale, Sequence[tuple[float, str]]],
    y: tuple[_Scale, Sequence[tuple[float, str]]],
    marks: Sequence[str],
) -> str:
    across, x_ticks = x
    up, y_ticks = y
    bottom = _HEIGHT - _BOTTOM
    parts = [_line(_LEFT, up(at), _WIDTH - _RIGHT, up(at), "grid") for at, _ in y_ticks]
    parts += [_text(_LEFT - 6, up(at) + 3.5, name, "tick end") for at, name in y_ticks]
    parts += [_text(across(at), bottom + 15, name, "tick") for at, name in x_ticks]
    parts += [
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, axes[0], "axis"),
        f'<g transform="translate(11 {(_TOP + bottom) / 2}) rotate(-90)">'
        + _text(0, 0, axes[1], "axis")
        + "</g>",
    ]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        + "".join([*parts, *marks])
        + "</svg>"
    )


def _unit_ticks() -> list[tuple[float, str]]:
    return [(tick, f"{tick:.1f}") for tick in _UNIT_TICKS]


def reliability_plot(bins: Sequence[Bin]) -> str:
    """Bars: the share of right answers in each bin; dots: its mean confidence; above: how
    many. A calibrated tool has its dots at the top of the bars (Guo et al. 2017, fig. 1)."""
    across, up = _across(0, 1), _up(0, 1)
    bars: list[str] = []
    dots: list[str] = []
    for b in bins:
        if b.accuracy is None or b.confidence is None:
            continue
        left, right, top = across(b.lower) + 1, across(b.upper) - 1, up(b.accuracy)
        bars.append(
            f'<rect class="bar" x="{_number(left)}" y="{_number(top)}"'
            f' width="{_number(right - left)}" height="{_number(up(0) - top)}"/>'
        )
        bars.append(_text((left + right) / 2, _TOP - 6, str(b.n), "count"))
        dots.append(_dot(across(b.confidence), up(b.confidence)))
    return _plot(
        "Reliability diagram: share of right answers by confidence",
        ("confidence", "share right"),
        (across, _unit_ticks()),
        (up, _unit_ticks()),
        [*bars, _line(across(0), up(0), across(1), up(1), "ideal"), *dots],
    )


def risk_coverage_plot(points: Sequence[RiskPoint]) -> str:
    """The share of wrong answers, were only the surest given (El-Yaniv & Wiener 2010)."""
    # few answers at the left make a ragged start that must not flatten the rest
    settled = [point.risk for point in points if point.coverage >= 0.1] or [0.0]
    ceiling = next((top for top in (0.05, 0.1, 0.2, 0.5) if max(settled) <= top), 1.0)
    across, up = _across(0, 1), _up(0, ceiling)
    marks = []
    if points:
        path = [(across(p.coverage), up(min(p.risk, ceiling))) for p in points]
        marks = [_path([(across(0), path[0][1]), *path]), _dot(*path[-1])]
    ticks = [(ceiling * i / 5, f"{ceiling * i / 5:.2f}") for i in range(6)]
    return _plot(
        "Risk-coverage curve: share of wrong answers by share of questions answered",
        ("share of questions answered", "share wrong of the answers"),
        (across, _unit_ticks()),
        (up, ticks),
        marks,
    )


def latency_plot(latencies_ms: Sequence[float]) -> str:
    """The share of questions answered within a time, on a scale of decades."""
    times = [max(value, 0.01) for value in latencies_ms] or [1.0, 10.0]
    low = 10.0 ** math.floor(math.log10(min(times)))
    high = 10.0 ** math.ceil(math.log10(max(times)))
    across, up = _across(low, high if high > low else low * 10, log=True), _up(0, 1)
    marks = []
    if latencies_ms:
        # 201 points draw any number of questions
        quantiles = [(percentile(times, i / 2) or low, i / 200) for i in range(201)]
        marks.append(_path([(across(ms), up(share)) for ms, share in quantiles]))
        for q in (50, 95):
            ms = percentile(times, q) or low
            marks.append(_line(across(ms), up(0), across(ms), up(q / 100), "ideal"))
            marks.append(_dot(across(ms), up(q / 100)))
    decades = range(round(math.log10(low)), round(math.log10(across.high)) + 1)
    return _plot(
        "Latency: share of questions answered within a time",
        ("milliseconds", "share of questions"),
        (across, [(10.0**decade, f"{10.0**decade:,g}") for decade in decades]),
        (up, _unit_ticks()),
        marks,
    )


def growth_plot(
    label: str, axes: tuple[str, str], series: Mapping[str, Sequence[tuple[float, float]]]
) -> str:
    """Lines over decades on both axes, each with its name beside its end; a file of its own."""
    points = [point for line in series.values() for point in line]
    bounds = [
        (10.0 ** math.floor(math.log10(min(values))), 10.0 ** math.ceil(math.log10(max(values))))
        for values in zip(*points, strict=True)
    ]
    bounds = [(low, max(high, 10 * low)) for low, high in bounds]
    # The names stand to the right of the lines.
    across = _Scale(*bounds[0], _LEFT, _WIDTH - _RIGHT - 100, log=True)
    up = _Scale(*bounds[1], _HEIGHT - _BOTTOM, _TOP, log=True)
    marks = []
    ends: list[tuple[float, float, str]] = []
    for name, line in series.items():
        places = [(across(x), up(y)) for x, y in line]
        marks += [_line(*one, *other, "curve") for one, other in itertools.pairwise(places)]
        marks += [_dot(*place) for place in places]
        ends.append((places[-1][1], places[-1][0], name))
    below = -math.inf
    for y, x, name in sorted(ends):
        below = max(y + 3, below + 10)
        marks.append(_text(x + 7, below, name, "name"))
    ticks = [
        [
            (10.0**decade, f"{10**decade:,}" if decade >= 0 else f"{10.0**decade:g}")
            for decade in range(round(math.log10(low)), round(math.log10(high)) + 1)
        ]
        for low, high in bounds
    ]
    plot = _plot(label, axes, (across, ticks[0]), (up, ticks[1]), marks)
    return plot.replace(
        "<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * _WIDTH}" ', 1
    ).replace(">", f"><style>{_ALONE}</style>", 1)


# The style of a plot that stands outside the report.
_ALONE = (
    "svg{background:#fcfbf9}text{font:9px system-ui,sans-serif;fill:#6b6760;text-anchor:middle}"
    ".end{text-anchor:end}.name{fill:#1d1c1a;text-anchor:start}.grid{stroke:#e2ded6}"
    ".curve{stroke:#1f5f8b;stroke-width:1.5}.dot{fill:#1f5f8b}"
)
