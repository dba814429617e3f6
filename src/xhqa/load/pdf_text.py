"""The lines of a PDF's pages → its text: paragraphs, headings, tables and where pages begin.

A line break stands where a line goes on in the next one, a blank line where it does not.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from xhqa.load.extracted import MAX_LEVEL, Extracted
from xhqa.load.pdf_glyphs import NO_TEXT, Book, PdfProblem, Run
from xhqa.load.pdf_lines import Line, body_size, in_reading_order, without_margins
from xhqa.load.tables import table_lines
from xhqa.script import CLOSERS, display_width, is_wide
from xhqa.types import Heading

_STOPS = "。！？!?…；;：:"
_LARGER = 1.12
_MAX_HEADING = 100
_LEVELS = 4


@dataclass(slots=True)
class _Block:
    """Lines that go on in one another, or one row of a table. ``goes_on``: in the rest of the
    block before it, on a new page."""

    text: str
    page: int
    size: float
    bold: bool
    level: int = 0
    table: bool = False
    goes_on: bool = False


def assemble(book: Book) -> Extracted:
    """Raises PdfProblem where only margins hold text: page numbers or a stamp on a scan."""
    body = body_size(book.pages)
    blocks: list[_Block] = []
    before: _Flow | None = None
    for page, runs in enumerate(without_margins(book.pages, body)):
        for lines in in_reading_order(runs):
            before = _add_column(lines, page, body, before, blocks)
    if not any(block.text.strip() for block in blocks):
        raise PdfProblem(NO_TEXT)
    _set_levels(blocks, body, book)
    return _written(blocks, book, len(book.pages))


@dataclass(slots=True)
class _Flow:
    """The line before, and the column it stands in."""

    line: Line
    left: float
    right: float
    leading: float
    page: int


def _add_column(
    lines: list[Line], page: int, body: float, before: _Flow | None, blocks: list[_Block]
) -> _Flow | None:
    """Add a column's lines to ``blocks``; the first may go on from ``before``."""
    left = min((line.x0 for line in lines), default=0.0)
    right = max((line.x1 for line in lines), default=0.0)
    leading = _leading(lines)
    at = 0
    while at < len(lines):
        grid = _table_at(lines, at)
        if grid:
            for text in table_lines(grid):
                blocks.append(_Block(text, page, body, False, table=True))
            at += len(grid)
            before = None
            continue
        line = lines[at]
        here = _Flow(line, left, right, leading, page)
        new_column = at == 0
        if before is not None and blocks and _goes_on(before, here, new_column):
            seam = "" if _cuts_number(before.line.text, line.text) else "\n"
            if page == before.page:
                blocks[-1].text += seam + line.text
            else:
                blocks.append(_Block(seam + line.text, page, line.size, line.bold, goes_on=True))
        else:
            blocks.append(_Block(line.text, page, line.size, line.bold))
        before = here
        at += 1
    return before


def _cuts_number(before: str, after: str) -> bool:
    """Whether Chinese text was broken inside a number, as it may be anywhere."""
    return before[-1].isdigit() and after[0].isdigit() and any(map(is_wide, before))


def _leading(lines: Sequence[Line]) -> float:
    """The usual distance of two lines, 0 where there is none."""
    gaps = [
        a.y - b.y
        for a, b in itertools.pairwise(lines)
        if _alike(a, b) and 0 < a.y - b.y < 3 * a.size
    ]
    return median(gaps) if gaps else 0.0


def _alike(a: Line, b: Line) -> bool:
    return abs(a.size - b.size) <= 0.1 * max(a.size, b.size)


def _goes_on(before: _Flow, here: _Flow, new_column: bool) -> bool:
    """Whether a line is the rest of the one before it."""
    a, b = before.line, here.line
    if not _alike(a, b) or a.bold != b.bold:
        return False
    indent = b.x0 - here.left
    if new_column:
        ended = a.text.rstrip(CLOSERS)[-1:] in tuple(_STOPS)
        return not ended and indent < 0.8 * b.size and _is_full(before, b)
    gap = a.y - b.y
    if gap > max(1.35 * before.leading, 1.05 * a.size) and gap > 1.3 * a.size:
        return False
    own_indent = a.x0 - before.left
    if indent > 1.2 * b.size and own_indent < indent - 0.8 * b.size:
        return False  # The first line of a paragraph.
    if indent > 1.2 * b.size and abs(own_indent - indent) < 0.5 * b.size:
        # Two lines in: a block of its own, or two paragraphs of one line.
        return _is_full(before, b) and a.text.rstrip(CLOSERS)[-1:] not in tuple(_STOPS)
    return _is_full(before, b)


def _is_full(flow: _Flow, after: Line) -> bool:
    """Whether the beginning of the next line had no room in this one."""
    word = re.match(r"\S+", after.text)
    first = word[0] if word else after.text
    if is_wide(first[0]):
        needed = 2.6 * after.size
    else:
        width = (after.x1 - after.x0) / max(1, display_width(after.text))
        latin = re.match(r"[!-~]+", first)
        needed = width * (len(latin[0] if latin else first) + 1) + 0.3 * after.size
    return flow.right - flow.line.x1 < needed


def _table_at(lines: Sequence[Line], at: int) -> list[list[str]] | None:
    """The cells of the table whose first row is ``lines[at]``; None where none begins there."""
    columns = [(cell.x0, cell.x1) for cell in lines[at].cells]
    if len(columns) < 2:
        return None
    rows: list[list[str]] = []
    for number, line in enumerate(lines[at:]):
        far = number and lines[at + number - 1].y - line.y > 4 * line.size
        row = None if far or len(line.cells) < 2 else _row(line.cells, columns)
        if row is None:
            break
        rows.append(row)
    return rows if len(rows) >= 3 or (len(rows) == 2 and len(columns) > 2) else None


def _row(cells: Sequence[Run], columns: list[tuple[float, float]]) -> list[str] | None:
    """The cells in their columns, which grow with them; None where they fit none."""
    row = [""] * len(columns)
    for cell in cells:
        fits = [
            number
            for number, (x0, x1) in enumerate(columns)
            if min(x1, cell.x1) - max(x0, cell.x0) > -0.3 * cell.size
        ]
        if len(fits) != 1 or row[fits[0]]:
            return None
        row[fits[0]] = cell.text
        x0, x1 = columns[fits[0]]
        columns[fits[0]] = min(x0, cell.x0), max(x1, cell.x1)
    return row


def _set_levels(blocks: list[_Block], body: float, book: Book) -> None:
    """Mark the headings: those that bookmarks name, or else what is set larger or bolder."""
    waiting = {
        page: {_key(title): level for title, level in entries if _key(title)}
        for page, entries in book.bookmarks.items()
    }
    named = [
        (block, waiting[block.page][_key(block.text)])
        for block in blocks
        if not block.table and _key(block.text) in waiting.get(block.page, {})
    ]
    if len(named) > 1:
        for block, level in named:
            block.level = min(MAX_LEVEL, level)
        return
    short = [block for block in blocks if _may_be_heading(block)]
    large = [block for block in short if block.size >= _LARGER * body]
    sizes = Counter(round(block.size * 2) / 2 for block in large)
    ranks = {size: min(_LEVELS, n) for n, size in enumerate(sorted(sizes, reverse=True), 1)}
    for block in large:
        block.level = ranks[round(block.size * 2) / 2]
    letters = sum(len(block.text) for block in blocks)
    bold = sum(len(block.text) for block in blocks if block.bold)
    if bold < 0.3 * letters:
        for block in short:
            if block.bold and not block.level and block.size >= 0.95 * body:
                block.level = min(MAX_LEVEL, max(ranks.values(), default=0) + 1)


def _may_be_heading(block: _Block) -> bool:
    text = block.text.strip()
    return (
        not (block.table or block.goes_on)
        and display_width(text) <= _MAX_HEADING
        and any(char.isalpha() for char in text)
        and text.rstrip(CLOSERS)[-1:] not in tuple(_STOPS + "，,、")
    )


def _key(text: str) -> str:
    return "".join(text.split()).lower()


def _written(blocks: Sequence[_Block], book: Book, pages: int) -> Extracted:
    parts: list[str] = []
    length = 0
    starts: list[int] = []
    headings: list[Heading] = []
    for block in blocks:
        seam = "" if not parts or block.goes_on else "\n\n"
        text = seam + block.text
        begin = length + len(text) - len(block.text.lstrip("\n"))
        while len(starts) <= block.page:
            starts.append(begin)
        if block.level:
            headings.append(Heading(begin, length + len(text), block.level))
        parts.append(text)
        length += len(text)
    while len(starts) < pages:
        starts.append(length)
    starts[0] = 0
    text = "".join(parts)
    return Extracted(text, tuple(headings), tuple(starts), _title(text, starts, headings, book))


def _title(text: str, starts: Sequence[int], headings: Sequence[Heading], book: Book) -> str | None:
    """The title the file gives, where the text begins with it; else the first page's largest
    heading. What programs fill in by themselves is in no text."""
    if _key(book.title) and _key(book.title) in _key(text[:2000]):
        return book.title
    first_page = starts[1] if len(starts) > 1 else len(text)
    shown = [heading for heading in headings if heading.start < first_page]
    if not shown:
        return None
    best = min(shown, key=lambda heading: heading.level)
    lines = text[best.start : best.end].split("\n")
    return "".join(
        line if number == 0 or is_wide(line[0]) else f" {line}" for number, line in enumerate(lines)
    )
