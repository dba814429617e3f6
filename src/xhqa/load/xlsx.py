"""Excel workbooks (XLSX) → a line for each row, a section for each sheet."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from xhqa.errors import InputError
from xhqa.load.archive import open_archive, read_part, refuse_dtd
from xhqa.load.extracted import Extracted, TextBuilder, refuse_too_long
from xhqa.load.tables import iter_table_lines

_MAX_ROWS = 1_048_576  # Excel's own
_MAX_MERGED = 100_000
_MERGED = re.compile(
    rb"""<(?:\w+:)?mergeCell\b[^>]*?ref=["']([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"""
)
_UNNAMED = re.compile(r"(?:sheet|工作表|表)\s*\d*", re.IGNORECASE)
# A control character as Excel writes it. Other characters are written so only where a text holds
# these very signs.
_ESCAPED = re.compile(r"_x00([01][0-9a-f])_", re.IGNORECASE)
_PERCENT = re.compile(r"0(?:\.(0+))?%")


def extract_xlsx(data: bytes, name: str) -> Extracted:
    """The visible sheets. Raises InputError for a file that is broken, protected or empty."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    archive = open_archive(data, name)
    for part in archive.namelist():
        if part.endswith((".xml", ".rels")):
            refuse_dtd(read_part(archive, part, name), part, name)
    builder = TextBuilder(name)
    # Exactly what a damaged workbook raises depends on the part that is damaged.
    damages = (
        *(LookupError, ValueError, TypeError, AttributeError, OSError, SyntaxError),
        *(ArithmeticError, AssertionError, EOFError, zipfile.BadZipFile, zlib.error),
        InvalidFileException,
    )
    try:
        with warnings.catch_warnings():
            # What openpyxl does not know (charts, validation) holds no text.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            try:
                sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
                for sheet in sheets:
                    if len(sheets) > 1 or not _UNNAMED.fullmatch(sheet.title):
                        builder.heading(sheet.title, 1)
                    _add_sheet(sheet, archive, builder)
            finally:
                book.close()
    except damages as error:
        raise InputError(f"{name} is broken ({error}): save it anew in Excel") from error
    if not builder.has_body:
        raise InputError(f"{name} holds no text: nothing to index")
    return builder.finish()


def _add_sheet(sheet: Any, archive: zipfile.ZipFile, builder: TextBuilder) -> None:
    # What a sheet says of its own size may be wrong, or anything.
    sheet.reset_dimensions()
    down = _merged_down(read_part(archive, sheet._worksheet_path, builder.name))
    add = builder.paragraph
    for line in iter_table_lines(_rows(sheet, down, builder.name)):
        add(line)
        add = builder.line


def _rows(sheet: Any, down: dict[tuple[int, int], int], name: str) -> Iterator[list[str]]:
    tops: dict[tuple[int, int], str] = {}
    wanted = {(top, column) for (_, column), top in down.items()}
    for number, cells in enumerate(sheet.iter_rows(), 1):
        if number > _MAX_ROWS:
            raise InputError(f"{name} has more rows than Excel allows: save it anew in Excel")
        row = [_shown(cell) for cell in cells]
        # One long text may stand in every cell.
        refuse_too_long(sum(map(len, row)), name)
        for column in range(len(row)):
            if (number, column) in wanted:
                tops[number, column] = row[column]
            elif not row[column] and (top := down.get((number, column))) is not None:
                row[column] = tops.get((top, column), "")
        yield row


def _merged_down(part: bytes) -> dict[tuple[int, int], int]:
    """(row, column) of each cell that lies below the first row of a merged range, in its first
    column → that first row. Rows count from 1, columns from 0."""
    from openpyxl.utils import column_index_from_string

    found: dict[tuple[int, int], int] = {}
    for left, top, _, bottom in _MERGED.findall(part):
        column = column_index_from_string(left.decode()) - 1
        first, last = int(top), int(bottom)
        if len(found) + last - first > _MAX_MERGED:
            break
        for row in range(first + 1, last + 1):
            found[row, column] = first
    return found


def _shown(cell: Any) -> str:
    """A value much as Excel shows it."""
    value = cell.value
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return str(value.date()) if value.time() == time() else str(value)
    if isinstance(value, date | time):
        return str(value)
    if isinstance(value, int | float):
        percent = _PERCENT.fullmatch(cell.number_format or "")
        if percent:
            return f"{value * 100:.{len(percent[1] or '')}f}%"
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), str(value))
