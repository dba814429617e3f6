"""The characters of a PDF's pages, with their places, put together into runs."""

from __future__ import annotations

import ctypes
import math
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from xhqa.load.extracted import MAX_CHARACTERS
from xhqa.script import needs_no_space

_MAX_PAGES = 20_000
NO_TEXT = (
    "has no text, only pictures of it: make the text readable with OCR (for example ocrmypdf) and "
    "add the result"
)
_PRIVATE = (range(0xE000, 0xF900), range(0xF0000, 0x110000))
_BOLD = ("bold", "black", "heavy", "-hei", "simhei", "heiti", "semibold", "demi")


class PdfProblem(Exception):
    """Why a PDF cannot be read; continues a sentence that begins with its name."""


@dataclass(slots=True)
class Run:
    """Characters that stand side by side. ``y`` is the baseline and grows upwards."""

    text: str
    x0: float
    x1: float
    y: float
    size: float
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Its runs as they come in the file, within the box from ``bottom`` to ``top``."""

    runs: list[Run]
    bottom: float
    top: float


@dataclass(frozen=True, slots=True)
class Book:
    pages: list[Page]
    title: str = ""
    # page → its bookmarks as (title, level)
    bookmarks: dict[int, list[tuple[str, int]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Glyph:
    char: str
    x0: float
    x1: float
    y: float
    size: float
    turn: int
    index: int
    bold: bool = False


def read_pdf(data: bytes) -> Book:
    """Raises PdfProblem for a PDF that is broken, protected, scanned or in unknown characters."""
    import pypdfium2
    from pypdfium2 import raw

    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise PdfProblem("is protected with a password: save it without one") from error
        raise PdfProblem("is broken: get a whole copy of it, or print it to a new PDF") from error
    try:
        if len(pdf) > _MAX_PAGES:
            raise PdfProblem(f"has more than {_MAX_PAGES:,} pages: split it")
        pages = []
        signs = unknown = 0
        for number in range(len(pdf)):
            glyphs, edges = _glyphs(pdf, number)
            signs += len(glyphs)
            if signs > MAX_CHARACTERS:
                raise PdfProblem(f"holds more than {MAX_CHARACTERS:,} characters: split it")
            unknown += sum(1 for glyph in glyphs if _is_unknown(glyph.char))
            pages.append(_page(glyphs, edges))
        if not signs:
            raise PdfProblem(NO_TEXT)
        if unknown > signs / 2:
            raise PdfProblem(
                "does not say which characters its signs are: make the text readable with OCR "
                "(for example ocrmypdf --force-ocr) and add the result"
            )
        return Book(pages, str(pdf.get_metadata_value("Title") or ""), _bookmarks(pdf))
    finally:
        pdf.close()


def _is_unknown(char: str) -> bool:
    return char == "\ufffd" or any(ord(char) in block for block in _PRIVATE)


def _bookmarks(pdf: Any) -> dict[int, list[tuple[str, int]]]:
    found: dict[int, list[tuple[str, int]]] = {}
    for bookmark in pdf.get_toc(max_depth=6):
        target = bookmark.get_dest()
        page = target.get_index() if target else None
        if page is not None:
            found.setdefault(page, []).append((bookmark.get_title(), bookmark.level + 1))
    return found


def _glyphs(pdf: Any, number: int) -> tuple[list[_Glyph], tuple[float, float]]:
    """The visible characters of a page and its box from bottom to top, turned so that most of the
    text stands upright. What crosses the page another way (watermarks, stamps) is left out."""
    import pypdfium2
    from pypdfium2 import raw

    try:
        page = pdf[number]
        textpage = page.get_textpage()
    except pypdfium2.PdfiumError as error:
        raise PdfProblem(f"is broken on page {number + 1}: print it to a new PDF") from error
    left, bottom, right, top = page.get_bbox()
    x, y = ctypes.c_double(), ctypes.c_double()
    box, matrix = raw.FS_RECTF(), raw.FS_MATRIX()
    found: list[_Glyph] = []
    high = 0
    for index in range(textpage.count_chars()):
        if raw.FPDFText_IsGenerated(textpage, index) == 1:
            continue
        code = raw.FPDFText_GetUnicode(textpage, index)
        if 0xD800 <= code < 0xDC00:  # Windows gives UTF-16.
            high = code
            continue
        if 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00) if high else 0xFFFD
        high = 0
        char = _readable(code)
        if char.isspace() or not char:
            continue
        raw.FPDFText_GetCharOrigin(textpage, index, x, y)
        if not (left - 1 <= x.value <= right + 1 and bottom - 1 <= y.value <= top + 1):
            continue
        raw.FPDFText_GetLooseCharBox(textpage, index, box)
        raw.FPDFText_GetMatrix(textpage, index, matrix)
        size = raw.FPDFText_GetFontSize(textpage, index) * math.hypot(matrix.c, matrix.d)
        angle = math.degrees(math.atan2(matrix.b, matrix.a)) % 360
        turn = round(angle / 90)
        if abs(angle - 90 * turn) > 5:
            continue
        turn %= 4
        x0, x1, at = _upright(turn, (box.left, box.bottom, box.right, box.top), (x.value, y.value))
        found.append(_Glyph(char, x0, x1, at, size or 1.0, turn, index))
    turns = Counter(glyph.turn for glyph in found)
    most = turns.most_common(1)[0][0] if turns else 0
    upright = [glyph for glyph in found if glyph.turn == most]
    edges = {0: (bottom, top), 1: (-right, -left), 2: (-top, -bottom), 3: (left, right)}[most]
    _mark_bold(textpage, upright)
    return upright, edges


def _readable(code: int) -> str:
    """A character for a code: ligatures apart, U+FFFD for what is none. Nothing that is cleaned
    away later, when headings and pages are counted."""
    if code == 2:  # PDFium's sign for a hyphen at a line's end.
        return "-"
    if code < 0x20 or code == 0x7F or code > 0x10FFFF or 0xFFFE <= code <= 0xFFFF:
        return "\ufffd" if code == 0 or code > 0x7F else ""
    char = chr(code)
    return unicodedata.normalize("NFKC", char) if 0xFB00 <= code <= 0xFB06 else char


def _upright(
    turn: int, box: tuple[float, float, float, float], origin: tuple[float, float]
) -> tuple[float, float, float]:
    """Left, right and baseline of a character after turning it back by ``turn`` quarters."""
    left, bottom, right, top = box
    if turn == 0:
        return left, right, origin[1]
    if turn == 1:
        return bottom, top, -origin[0]
    if turn == 2:
        return -right, -left, -origin[1]
    return -top, -bottom, origin[0]


def _mark_bold(textpage: Any, glyphs: list[_Glyph]) -> None:
    """Note which characters are bold; the font is looked up where a line or its size changes."""
    from pypdfium2 import raw

    buffer = ctypes.create_string_buffer(256)
    flags = ctypes.c_int()
    before: _Glyph | None = None
    for glyph in glyphs:
        same = before and before.y == glyph.y and before.size == glyph.size
        if same and before and before.index + 1 == glyph.index:
            glyph.bold = before.bold
        else:
            size = raw.FPDFText_GetFontInfo(textpage, glyph.index, buffer, 256, flags)
            font = buffer.raw[: min(size, 256)].rstrip(b"\0").decode("utf-8", "replace").lower()
            heavy = raw.FPDFText_GetFontWeight(textpage, glyph.index) >= 600
            glyph.bold = heavy or any(word in font for word in _BOLD)
        before = glyph


def _page(glyphs: list[_Glyph], edges: tuple[float, float]) -> Page:
    """Put characters that follow one another on a baseline into runs."""
    runs: list[Run] = []
    chars: list[str] = []
    current: Run | None = None

    def close() -> None:
        if current is not None:
            current.text = "".join(chars)
            if not _is_double(current, runs):
                runs.append(current)

    for glyph in glyphs:
        gap = glyph.x0 - current.x1 if current else 0.0
        size = max(glyph.size, current.size) if current else glyph.size
        if (
            current is None
            or abs(glyph.y - current.y) > 0.3 * size
            or gap > 1.2 * size
            or glyph.x0 < current.x1 - 0.6 * size
        ):
            close()
            current = Run("", glyph.x0, glyph.x1, glyph.y, glyph.size, glyph.bold)
            chars = [glyph.char]
            continue
        if chars[-1] == glyph.char and gap < -0.5 * (glyph.x1 - glyph.x0):
            continue  # Drawn twice to look bold.
        if gap > 0.18 * size and not needs_no_space(chars[-1][-1], glyph.char[0]):
            chars.append(" ")
        chars.append(glyph.char)
        current.x1 = max(current.x1, glyph.x1)
        current.size = size
    close()
    return Page(runs, *edges)


def _is_double(run: Run, runs: list[Run]) -> bool:
    """Whether the same words were drawn at the same place just before."""
    return any(
        other.text == run.text
        and abs(other.x0 - run.x0) < 0.2 * run.size
        and abs(other.y - run.y) < 0.2 * run.size
        for other in runs[-40:]
    )
