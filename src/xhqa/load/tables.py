"""Tables → lines that read as text: 列名：值；列名：值."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_NUMBER = re.compile(r"[-+±]?[¥$€￥]?\s*\d[\d,，.\s]*(?:%|％|‰)?|[-–—/]+")
_YEAR = re.compile(r"(?:19|20)\d\d")
_KEY_END = "：:"


def table_lines(rows: Sequence[Sequence[str]], headers: int | None = None) -> list[str]:
    """A line for each row: ``列名：值；列名：值``, empty cells left out.

    ``headers`` says how many rows at the top hold the columns' names, where the format marks them;
    otherwise the first row does if it looks like it. Rows of one cell above them stay as they are.
    """
    return list(iter_table_lines(iter(rows), headers))


def iter_table_lines(rows: Iterator[Sequence[str]], headers: int | None = None) -> Iterator[str]:
    """``table_lines`` of rows that come one by one."""
    cleaned = (row for cells in rows if any(row := [" ".join(cell.split()) for cell in cells]))
    above: list[list[str]] = []
    names: list[str] | None = None
    if headers:
        for row in cleaned:
            above.append(row)
            if len(above) == headers:
                break
        names = _names(above)
    else:
        first: list[str] | None = None
        for row in cleaned:
            if sum(map(bool, row)) > 1:
                first = row
                break
            yield from filter(None, row)
        if first is None:
            return
        second = next(cleaned, None)
        if headers is None and second is not None and _is_header(first, second):
            names = first
        else:
            yield _plain(first)
        if second is None:
            return
        yield _row(second, names)
    bare = True
    for row in cleaned:
        bare = False
        yield _row(row, names)
    if headers and bare:
        yield from map(_plain, above)


def _names(rows: Sequence[Sequence[str]]) -> list[str]:
    """Of several rows of names, the different ones of each column one after the other."""
    width = max(map(len, rows), default=0)
    return [
        " ".join(dict.fromkeys(row[at] for row in rows if at < len(row) and row[at]))
        for at in range(width)
    ]


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether the first row names the columns: words that are no values and end no key. Years are
    names too, over a column of words that has one of its own or none."""
    named = [cell for cell in first if cell]
    if len(set(named)) < len(named) or first[0].endswith(tuple(_KEY_END)):
        return False
    if sum(map(bool, second)) > len(named) + 1:
        return False
    numbers = [cell for cell in named if _NUMBER.fullmatch(cell)]
    corner = next(
        above or below for above, below in zip(first, second, strict=False) if above or below
    )
    return not numbers or (
        not _NUMBER.fullmatch(corner) and all(_YEAR.fullmatch(cell) for cell in numbers)
    )


def _row(row: Sequence[str], names: Sequence[str] | None) -> str:
    if names is None:
        return _plain(row)
    pairs = []
    for at, cell in enumerate(row):
        name = names[at].rstrip(_KEY_END) if at < len(names) else ""
        if cell:
            pairs.append(f"{name}：{cell}" if name and name != cell else cell)
    return "；".join(pairs)


def _plain(row: Sequence[str]) -> str:
    """A row without names; ``键：值`` where the first of two cells is marked as a key."""
    cells = [cell for cell in row if cell]
    if len(cells) == 2 and cells[0].endswith(tuple(_KEY_END)):
        return cells[0] + cells[1]
    return "；".join(cells)
