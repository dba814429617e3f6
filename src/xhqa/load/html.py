"""HTML and XHTML → text, headings and tables."""

from __future__ import annotations

import html
import re
from contextlib import suppress
from typing import Any

from xhqa.errors import InputError
from xhqa.load.archive import local, parse_xml, refuse_too_much_markup
from xhqa.load.encoding import decode
from xhqa.load.extracted import Extracted, TextBuilder
from xhqa.load.tables import table_lines

_MAX_BYTES = 64 * 2**20
# A walk over so many takes some 15 s.
_MAX_MARKS = 2_000_000
_DECLARED = re.compile(
    rb"""<(?:meta\b[^>]*?charset|\?xml\b[^>]*?encoding)\s*=\s*["']?([\w-]+)""", re.I
)
# What a page means by what it declares (WHATWG, "Encoding", 4.2).
_MEANT = {
    **dict.fromkeys(("gb2312", "gbk", "gb_2312-80"), "gb18030"),
    "big5": "big5hkscs",
    **dict.fromkeys(
        ("iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "us-ascii", "ascii", "windows-1252"),
        "cp1252",
    ),
}
_NAMED = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z]\w*;")
_SPACE = re.compile(r"[ \t\r\n\f]+")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)

_SKIPPED = frozenset(
    (
        *("script", "style", "noscript", "template", "nav", "svg", "math", "iframe", "object"),
        *("embed", "applet", "select", "button", "input", "textarea", "canvas", "audio", "video"),
        *("head", "rt", "rp"),
    )
)
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd"),
        *("details", "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer"),
        *("form", "header", "hgroup", "hr", "legend", "main", "ol", "p", "pre", "section"),
        *("summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    )
)
_LINES = frozenset({"li", "dt", "dd", "tr"})
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_NO_DATA = frozenset({"table", "pre", "ul", "ol", "article", "section", *_HEADINGS})
_MAX_CELLS = 1_000_000


def extract_html(data: bytes, name: str) -> Extracted:
    """Raises InputError for what is no text or holds none."""
    root = parse_page(data, name)
    builder = TextBuilder(name)
    add_page(root, builder)
    return builder.finish(page_title(root))


def parse_page(data: bytes, name: str) -> Any:
    """The root element of a page, read as XHTML where it is, otherwise as browsers read HTML."""
    from lxml import etree

    if len(data) > _MAX_BYTES:
        raise InputError(f"{name} is over {_MAX_BYTES // 2**20} MB: split it into smaller files")
    text = _decoded(data, name)
    if re.match(r"\s*<\?xml|\s*<!doctype html public .{0,20}xhtml", text, re.I):
        strict = re.sub(r"\A\s*<\?xml[^>]*\?>", "", text)
        strict = _NAMED.sub(lambda match: html.escape(html.unescape(match[0])), strict)
        try:
            return parse_xml(strict.encode("utf-8", "replace"), "the page", name)
        except InputError:
            pass  # Most of what claims to be XHTML is HTML.
    encoded = text.encode("utf-8", "replace")
    refuse_too_much_markup(encoded, name, _MAX_MARKS)
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False
    )
    try:
        root = etree.fromstring(encoded, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InputError(f"{name} is broken HTML ({error}): save it anew") from error
    if root is None:
        raise InputError(f"{name} holds no text: nothing to index")
    return root


def _decoded(data: bytes, name: str) -> str:
    declared = _DECLARED.search(data[:4096])
    if declared and not data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        encoding = declared[1].decode("ascii").lower()
        encoding = _MEANT.get(encoding, encoding)
        if encoding == "cp1252":
            # Many declare it by habit, and what is in it is hardly ever UTF-8 by chance.
            with suppress(UnicodeDecodeError):
                return data.decode("utf-8")
        try:
            # What declares UTF-16 in ASCII is not in it (WHATWG, "HTML", 13.2.3.2), though most
            # pages can be decoded so.
            if not encoding.startswith(("utf-16", "utf16", "utf-32", "utf32", "ucs")):
                return data.decode(encoding)
        except (UnicodeError, LookupError):
            pass  # It is declared wrongly.
    return decode(data, name)


def page_title(root: Any) -> str | None:
    """The title of a page without the site's name, which stands after the heading's words."""
    title = next((_text(e) for e in root.iter() if local(e) == "title"), "")
    headings = [_text(e) for e in root.iter() if local(e) == "h1"]
    if len(headings) == 1 and headings[0] and (not title or headings[0] in title):
        return headings[0]
    return title or None


def add_page(root: Any, builder: TextBuilder) -> None:
    """Add the text of a page to ``builder``, block by block."""
    from lxml import etree

    walk = etree.iterwalk(root, events=("start", "end"))
    inline: list[str] = []
    line = False
    pre = 0

    def flush() -> None:
        nonlocal line
        if any(inline):
            (builder.line if line else builder.paragraph)("".join(inline))
        line = False
        inline.clear()

    for event, element in walk:
        tag = local(element)
        if event == "start":
            if not tag or tag in _SKIPPED or _hidden(element):
                walk.skip_subtree()
            elif tag in _HEADINGS:
                flush()
                builder.heading(_text(element), _HEADINGS[tag])
                walk.skip_subtree()
            elif tag == "table" and _holds_data(element):
                flush()
                caption, grid, headers = _grid(element, builder.name)
                builder.paragraph(caption)
                builder.rows(table_lines(grid, headers))
                walk.skip_subtree()
            elif tag == "br":
                inline.append("\n")
            elif tag == "img":
                inline.append(_collapsed(element.get("alt") or ""))
            else:
                if tag in _BLOCKS or tag in _LINES:
                    flush()
                    first = element.getprevious() is None
                    line = tag in _LINES and not first
                pre += tag == "pre"
                inline.append((element.text or "") if pre else _collapsed(element.text))
        else:
            if tag in _BLOCKS or tag in _LINES:
                flush()
            # A hidden one ends here too, though it never began.
            pre -= tag == "pre" and not _hidden(element)
            if element is not root:
                inline.append((element.tail or "") if pre else _collapsed(element.tail))
    flush()


def _collapsed(text: str | None) -> str:
    return _SPACE.sub(" ", text) if text else ""


def _hidden(element: Any) -> bool:
    return element.get("hidden") is not None or bool(
        _HIDDEN_STYLE.search(element.get("style") or "")
    )


def _text(element: Any) -> str:
    """All text below an element on one line; none of what is skipped."""
    parts: list[str] = []
    skipped = None
    from lxml import etree

    for event, part in etree.iterwalk(element, events=("start", "end")):
        if skipped is None and event == "start":
            tag = local(part)
            if part is not element and (not tag or tag in _SKIPPED or _hidden(part)):
                skipped = part
            else:
                parts.append(" " if tag in _BLOCKS or tag in _LINES or tag == "br" else "")
                parts.append(part.text or "")
        elif event == "end" and (skipped is None or part is skipped):
            skipped = None
            if part is not element:
                parts.append(" " if local(part) in _BLOCKS else "")
                parts.append(part.tail or "")
    return " ".join("".join(parts).split())


def _holds_data(table: Any) -> bool:
    """Whether a table is one of rows and columns, and does not just place parts of the page."""
    inside = {local(element) for element in table.iterdescendants()}
    return not inside & _NO_DATA and bool(inside & {"td", "th"})


def _grid(table: Any, name: str) -> tuple[str, list[list[str]], int | None]:
    """The caption, the cells with spans filled in, and how many rows hold names (None: unknown)."""
    caption = ""
    rows: list[list[str]] = []
    headers = 0
    keys = True
    below: dict[int, tuple[int, str]] = {}  # column → rows still to fill, text
    cells = 0
    for element in table.iterdescendants():
        tag = local(element)
        if tag == "caption":
            caption = _text(element)
        if tag != "tr":
            continue
        row: list[str] = []
        own = [cell for cell in element if local(cell) in ("td", "th")]
        for cell in own:
            _fill(row, below)
            text = _text(cell)
            wide, high = _span(cell, "colspan"), _span(cell, "rowspan")
            if cells + len(row) + wide > _MAX_CELLS:
                raise InputError(f"{name} has a table of too many cells: split the document")
            for _ in range(wide):
                if high > 1:
                    below[len(row)] = high - 1, text
                row.append(text)
                text = text if local(cell) == "th" else ""
        _fill(row, below)
        cells += len(row)
        named = [local(cell) == "th" for cell in own]
        if own and all(named) and headers == len(rows):
            headers += 1
        keys = keys and len(own) == 2 and named == [True, False]
        rows.append(row)
    if keys and rows:
        return caption, [[f"{row[0].rstrip('：:')}：", row[1]] for row in rows], 0
    return caption, rows, headers or None


def _fill(row: list[str], below: dict[int, tuple[int, str]]) -> None:
    """Add the cells that reach down into this row at its next columns."""
    while len(row) in below:
        left, text = below.pop(len(row))
        if left > 1:
            below[len(row)] = left - 1, text
        row.append(text)


def _span(cell: Any, attribute: str) -> int:
    value = (cell.get(attribute) or "").strip()
    return max(1, min(1000, int(value[:5]))) if value.isascii() and value.isdigit() else 1
