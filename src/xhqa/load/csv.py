"""CSV and TSV → a line for each row: 列名：值；列名：值."""

from __future__ import annotations

import csv
import io

from xhqa.errors import InputError
from xhqa.load.encoding import decode
from xhqa.load.extracted import Extracted, TextBuilder
from xhqa.load.tables import iter_table_lines

_DELIMITERS = ",\t;|，"
_SAMPLE_ROWS = 20


def extract_csv(data: bytes, name: str) -> Extracted:
    """Raises InputError for what is no text, or no table."""
    text = decode(data, name)
    builder = TextBuilder(name)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        for line in iter_table_lines(rows):
            builder.line(line)
    except csv.Error as error:
        raise InputError(
            f"{name} is no CSV that can be read (line {rows.line_num}: {error}): save it anew as "
            "CSV in UTF-8"
        ) from error
    return builder.finish()


def _delimiter(text: str) -> str:
    """The sign that cuts the first rows into the most columns, the same number in each."""
    sample = text[: 64 * 1024]
    best = (0, 0)
    found = ","
    for delimiter in _DELIMITERS:
        try:
            rows = [
                len(row)
                for row, _ in zip(
                    csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter),
                    range(_SAMPLE_ROWS),
                    strict=False,
                )
                if row
            ]
        except csv.Error:
            continue
        if not rows or max(rows) < 2:
            continue
        usual = max(set(rows), key=rows.count)
        score = (rows.count(usual), usual) if usual > 1 else (0, max(rows))
        if score > best:
            best, found = score, delimiter
    return found
