"""Text to HTML with stretches of it marked. Offsets are code points, so all slicing is here."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

Kind = Literal["heading", "sentence", "near", "answer"]

# Where marks overlap, the later kind is the one that shows.
_STRENGTH: dict[Kind, int] = {"heading": 0, "sentence": 1, "near": 2, "answer": 3}
# NUL cannot stand in HTML, and half a surrogate pair cannot stand in the JSON that carries it.
_UNSHOWABLE = re.compile("[\x00\ud800-\udfff]")
_SPARE_BLANK_LINES = re.compile(r"(?:\A|\n[ \t\f]*\r?\n)((?:[ \t\f]*\r?\n)+)")
_HAN = "[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
_SPACE_IN_HAN = re.compile(rf"(?<={_HAN})\s+(?={_HAN})")


@dataclass(frozen=True, slots=True)
class Mark:
    """``text[start:end]`` belongs to citation (or passage) ``index``; ``anchor`` is its HTML id.
    A heading belongs to none: its index is 0."""

    start: int
    end: int
    kind: Kind
    index: int
    anchor: str = ""


def escape(text: str) -> str:
    """Text as HTML that means that text and nothing else, in an element or in an attribute."""
    # A bare carriage return would come out of the HTML parser as a line feed.
    return html.escape(_UNSHOWABLE.sub("\ufffd", text)).replace("\r", "&#13;")


def spare_blank_lines(text: str) -> list[tuple[int, int]]:
    """Blank lines beyond the first of a run, and those at the top: page breaks, seen as holes."""
    return [match.span(1) for match in _SPARE_BLANK_LINES.finditer(text)]


def layout_space(text: str) -> list[tuple[int, int]]:
    """White space between Han characters: left over from the page, not part of the sentence."""
    return [match.span() for match in _SPACE_IN_HAN.finditer(text)]


def marked(text: str, marks: Iterable[Mark], folds: Sequence[tuple[int, int]] = ()) -> str:
    """``text`` as HTML with ``marks`` on it and ``folds`` out of sight but still there.

    Marks may overlap: the text is cut wherever one begins or ends, so that the elements with
    ``data-cites~="1"`` together hold exactly what citation 1 cites.
    """
    size = len(text)
    inside = [replace(m, start=max(m.start, 0), end=min(m.end, size)) for m in marks]
    inside = [m for m in inside if m.start < m.end]
    cuts = sorted({0, size, *(m.start for m in inside), *(m.end for m in inside)})
    return "".join(
        _segment(
            "".join(_pieces(text, start, end, folds)),
            start,
            [m for m in inside if m.start <= start and end <= m.end],
        )
        for start, end in pairwise(cuts)
    )


def _segment(inner: str, start: int, active: Sequence[Mark]) -> str:
    if not active:
        return inner
    strength = max(_STRENGTH[m.kind] for m in active)
    shown = sorted((m for m in active if _STRENGTH[m.kind] == strength), key=lambda m: m.index)
    kind = shown[0].kind
    begins = [m for m in active if m.start == start and m.anchor]
    # The anchor stands apart from the mark: one place may begin several citations.
    anchors = "".join(f'<span id="{escape(m.anchor)}"></span>' for m in begins)
    numbers = " ".join(str(m.index) for m in begins if m.index)
    label = f' data-label="{numbers}"' if numbers else ""
    if kind == "heading":
        return f'{anchors}<span class="xh-heading">{inner}</span>'
    cites = " ".join(str(m.index) for m in shown)
    tag = "mark" if kind == "answer" else "span"
    return (
        f'{anchors}<{tag} class="xh-{kind} xh-hue-{hue(shown[0].index)}" '
        f'data-cites="{cites}"{label}>{inner}</{tag}>'
    )


def _pieces(text: str, start: int, end: int, folds: Sequence[tuple[int, int]]) -> Iterator[str]:
    at = start
    for fold_start, fold_end in folds:
        left, right = max(fold_start, start), min(fold_end, end)
        if left >= right:
            continue
        yield escape(text[at:left])
        yield f'<span class="xh-fold">{escape(text[left:right])}</span>'
        at = right
    yield escape(text[at:end])


def hue(index: int) -> int:
    """Which of the five mark colours citation ``index`` has."""
    return (index - 1) % 5 + 1
