"""Runs of a page → lines in the order they are read, running heads and feet left out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from xhqa.load.pdf_glyphs import Page, Run
from xhqa.script import display_width, needs_no_space

_MARGIN = 0.15
_MARGIN_LINES = 3
_PAGE_NUMBER = re.compile(r"(?:第|共|page|p\.?|of|页|[-–—―·•|/／\s]|[0-9０-９]+)+", re.IGNORECASE)
_ROMAN = re.compile(r"[-–—\s]*[ivxl]{1,6}[-–—\s]*", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")


@dataclass(slots=True)
class Line:
    """Runs on one baseline, left to right, within a column."""

    cells: list[Run]

    @property
    def x0(self) -> float:
        return self.cells[0].x0

    @property
    def x1(self) -> float:
        return max(cell.x1 for cell in self.cells)

    @property
    def size(self) -> float:
        return max(cell.size for cell in self.cells)

    @property
    def y(self) -> float:
        return max(self.cells, key=lambda cell: (cell.size, len(cell.text))).y

    @property
    def bold(self) -> bool:
        return all(cell.bold for cell in self.cells)

    @property
    def text(self) -> str:
        return " ".join(cell.text for cell in self.cells)


def lines_of(runs: Sequence[Run]) -> list[Line]:
    """The lines of one column from top to bottom."""
    lines: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: -run.y):
        for cells in reversed(lines[-3:]):
            largest = max(cells, key=lambda cell: cell.size)
            if abs(largest.y - run.y) < 0.5 * max(largest.size, run.size):
                cells.append(run)
                break
        else:
            lines.append([run])
    found = [Line(_joined(sorted(cells, key=lambda cell: cell.x0))) for cells in lines]
    return sorted(found, key=lambda line: -line.y)


def _joined(cells: list[Run]) -> list[Run]:
    """Neighbours that touch (a word in another font, a raised figure) as one run."""
    merged = [cells[0]]
    for cell in cells[1:]:
        last = merged[-1]
        gap = cell.x0 - last.x1
        size = max(last.size, cell.size)
        if gap > 1.2 * size:
            merged.append(cell)
            continue
        apart = gap > 0.18 * size and not needs_no_space(last.text[-1], cell.text[0])
        text = last.text + (" " if apart else "") + cell.text
        merged[-1] = Run(
            text, last.x0, max(last.x1, cell.x1), last.y, size, last.bold and cell.bold
        )
    return merged


def body_size(pages: Sequence[Page]) -> float:
    """The size that most characters have."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for run in page.runs:
            sizes[round(run.size * 2) / 2] += len(run.text)
    return sizes.most_common(1)[0][0] if sizes else 1.0


def without_margins(pages: Sequence[Page], body: float) -> list[list[Run]]:
    """Each page's runs without running heads and feet and page numbers."""
    margins = [_margin_lines(page, body) for page in pages]
    places: dict[tuple[str, int], list[tuple[int, str]]] = defaultdict(list)
    for number, lines in enumerate(margins):
        for line in lines:
            text = _key(line.text)
            places[_DIGITS.sub("#", text), _place(line, pages[number])].append((number, text))
    most = 2 if len(pages) <= 5 else 3
    kept = []
    for number, (page, lines) in enumerate(zip(pages, margins, strict=True)):
        dropped: list[Run] = []
        for line in lines:
            text = _key(line.text)
            key, place = _DIGITS.sub("#", text), _place(line, page)
            seen = [entry for near in (place - 1, place, place + 1) for entry in places[key, near]]
            repeated = len({at for at, _ in seen}) >= most and (
                len({text for _, text in seen}) == 1 or _counts_pages(text, number, seen) >= most
            )
            if repeated or _is_page_number(line.text, number, len(pages)):
                dropped.extend(line.cells)
        rows = [(run.y, run.size) for run in dropped]
        kept.append(
            [run for run in page.runs if all(abs(run.y - y) >= 0.5 * size for y, size in rows)]
        )
    return kept


def _margin_lines(page: Page, body: float) -> list[Line]:
    """The first and last lines of a page that stand in its margins, in no large type."""
    lines = lines_of(page.runs)
    edge = _MARGIN * (page.top - page.bottom)
    head = [line for line in lines[:_MARGIN_LINES] if line.y > page.top - edge]
    foot = [line for line in lines[-_MARGIN_LINES:] if line.y < page.bottom + edge]
    return [line for line in (*head, *foot) if line.size <= 1.15 * body]


def _key(text: str) -> str:
    return "".join(text.split())


def _place(line: Line, page: Page) -> int:
    return round((line.y - page.bottom) / 4)


def _counts_pages(text: str, page: int, seen: Sequence[tuple[int, str]]) -> int:
    """On how many pages one of the line's numbers stands to the page's as it does on this one."""
    here = [int(digits) - page for digits in _DIGITS.findall(text)]
    rows = [[int(digits) - at for digits in _DIGITS.findall(other)] for at, other in seen]
    return max(
        (sum(row[slot] == away for row in rows) for slot, away in enumerate(here)), default=0
    )


def _is_page_number(text: str, number: int, pages: int) -> bool:
    """Whether a line is nothing but the number of its page, alone or of all pages."""
    if _ROMAN.fullmatch(text):
        return True
    if not _PAGE_NUMBER.fullmatch(text.strip()):
        return False
    numbers = [int(digits) for digits in _DIGITS.findall(text)]
    return bool(numbers) and numbers[0] == number + 1 and numbers[1:] in ([], [pages])


def in_reading_order(runs: Sequence[Run]) -> list[list[Line]]:
    """The columns of a page as they are read, each as its lines."""
    return [lines_of(region) for region in _regions(list(runs), 0) if region]


def _regions(runs: list[Run], depth: int) -> list[list[Run]]:
    edge = _gutter(runs) if depth < 4 else None
    if edge is None:
        return [runs]
    found: list[list[Run]] = []
    left: list[Run] = []
    right: list[Run] = []
    across: list[Run] = []

    def columns() -> None:
        found.extend(_regions(left.copy(), depth + 1) if left else [])
        found.extend(_regions(right.copy(), depth + 1) if right else [])
        left.clear()
        right.clear()

    for run in sorted(runs, key=lambda run: (-run.y, run.x0)):
        if run.x0 < edge - 1 and run.x1 > edge + 1:
            columns()
            across.append(run)
            continue
        if across:
            found.append(across.copy())
            across.clear()
        (left if run.x0 < edge - 1 else right).append(run)
    columns()
    if across:
        found.append(across.copy())
    return found


def _gutter(runs: list[Run]) -> float | None:
    """Where a column of prose begins that has another one to its left; None where none does."""
    if len(runs) < 8:
        return None
    starts = Counter(round(run.x0 / 3) for run in runs)
    best: tuple[int, float] | None = None
    for start, count in starts.items():
        count += starts[start + 1] + starts[start - 1]
        edge = min(run.x0 for run in runs if abs(round(run.x0 / 3) - start) <= 1)
        if count < 4 or (best and count <= best[0]):
            continue
        left = [run for run in runs if run.x1 <= edge + 1]
        right = [run for run in runs if run.x0 >= edge - 1]
        if len(left) + len(right) < 0.7 * len(runs):
            continue
        if _is_prose(left) and _is_prose(right) and _beside(left, right):
            best = count, edge
    return best[1] if best else None


def _is_prose(column: list[Run]) -> bool:
    """Whether most lines of a column fill it, as those of a table's column do not."""
    if len(column) < 4:
        return False
    width = max(run.x1 for run in column) - min(run.x0 for run in column)
    filled = median(run.x1 - run.x0 for run in column) >= 0.6 * width
    return filled and median(display_width(run.text) for run in column) >= 14


def _beside(left: list[Run], right: list[Run]) -> bool:
    """Whether the two stand next to one another, and not one under the other."""
    low = max(min(run.y for run in left), min(run.y for run in right))
    high = min(max(run.y for run in left), max(run.y for run in right))
    return high - low > 2 * max(left[0].size, right[0].size)
