"""Word documents (DOCX) → text, headings and tables."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from typing import Any

from xhqa.errors import InputError
from xhqa.load.archive import local, office_xml, open_archive
from xhqa.load.extracted import MAX_LEVEL, Extracted, TextBuilder
from xhqa.load.tables import table_lines

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_VAL = f"{_W}val"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_STRICT_RELATIONS = "http://purl.oclc.org/ooxml/officeDocument/relationships/"
_STRICT = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"

# What is deleted, replaced or an instruction is no text, nor is how words are read aloud (ruby's
# "rt", as in HTML); a text box stands for itself.
_SKIPPED = frozenset({"del", "movefrom", "fallback", "instrtext", "deltext", "rpr", "ppr", "rt"})
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "nobreakhyphen": "-"}
_TITLE = 0
# Styles build on one another; a ring of them has no end.
_MAX_BASES = 20


def extract_docx(data: bytes, name: str) -> Extracted:
    """Raises InputError for a file that is broken, protected or without text."""
    archive = open_archive(data, name)
    part = _related(archive, "", "officeDocument", name)
    if part is None:
        raise InputError(f"{name} is broken (it names no document): save it anew")
    body = _body(archive, part, name)
    styles = _related(archive, part, "styles", name)
    levels = _levels(office_xml(archive, styles, name)) if styles else {}
    builder = TextBuilder(name)
    title: str | None = None
    for block in _blocks(body):
        if local(block) == "tbl":
            grid, headers = _grid(block)
            if max(map(len, grid), default=0) > 1:
                builder.rows(table_lines(grid, headers))
            else:
                for paragraph in block.iter(f"{_W}p"):
                    builder.paragraph(_text(paragraph))
            continue
        text = _text(block)
        level = _level(block, levels)
        if level is None:
            builder.paragraph(text)
        else:
            title = title or (text if level == _TITLE else None)
            builder.heading(text, max(1, level))
        for box in block.iter(f"{_W}txbxContent"):
            if not any(local(above) == "fallback" for above in box.iterancestors()):
                for paragraph in box.iter(f"{_W}p"):
                    builder.paragraph(_text(paragraph))
    for notes in ("footnotes", "endnotes"):
        notes_part = _related(archive, part, notes, name)
        if notes_part:
            for paragraph in office_xml(archive, notes_part, name).iter(f"{_W}p"):
                builder.paragraph(_text(paragraph))
    headings = builder.headings
    extracted = builder.finish(title)
    if title is None and headings and headings[0].start == 0:
        first = headings[0]
        return Extracted(extracted.text, headings, (), extracted.text[: first.end])
    return extracted


def _body(archive: zipfile.ZipFile, part: str, name: str) -> Any:
    root = office_xml(archive, part, name)
    body = root.find(f"{_W}body")
    if body is None and root.find(f"{_STRICT}body") is not None:
        raise InputError(f"{name} is in the strict form of DOCX: save it as an ordinary .docx")
    if body is None:
        raise InputError(f"{name} is broken ({part} has no body): save it anew")
    return body


def _related(archive: zipfile.ZipFile, part: str, kind: str, name: str) -> str | None:
    """The part that ``part`` (the package, where empty) names as its ``kind``."""
    folder, base = posixpath.split(part)
    relations = posixpath.join(folder, "_rels", f"{base}.rels")
    if relations not in archive.namelist():
        return None
    for element in office_xml(archive, relations, name):
        if element.get("Type") in (_RELATIONS + kind, _STRICT_RELATIONS + kind):
            target = str(element.get("Target") or "")
            path = target[1:] if target.startswith("/") else posixpath.join(folder, target)
            return posixpath.normpath(path)
    return None


def _levels(styles: Any) -> dict[str, int]:
    """Style id → heading level (1–6, 0 for the title) of the styles that have one."""
    own: dict[str, int] = {}
    based: dict[str, str] = {}
    for style in styles.iter(f"{_W}style"):
        style_id = style.get(f"{_W}styleId") or ""
        values = {local(e): e.get(_VAL) or "" for e in style}
        word, _, number = values.get("name", "").lower().rpartition(" ")
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        if values.get("name", "").lower() in ("title", "标题"):
            own[style_id] = _TITLE
        elif word in ("heading", "标题") and number.isascii() and number.isdigit():
            own[style_id] = min(MAX_LEVEL, max(1, int(number[:2])))
        elif outline is not None and (level := _outline(outline)) is not None:
            own[style_id] = level
        based[style_id] = values.get("basedon", "")
    levels = dict(own)
    for style_id in based:
        above = style_id
        for _ in range(_MAX_BASES):
            if above in own or not based.get(above):
                break
            above = based[above]
        if above in own:
            levels[style_id] = own[above]
    return levels


def _outline(element: Any) -> int | None:
    value = element.get(_VAL) or ""
    # 0 is the highest; 9 is text.
    return min(MAX_LEVEL, int(value) + 1) if value in tuple("012345678") else None


def _level(paragraph: Any, levels: dict[str, int]) -> int | None:
    style = paragraph.find(f"{_W}pPr/{_W}pStyle")
    outline = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
    if outline is not None:
        return _outline(outline)
    return levels.get(style.get(_VAL) or "") if style is not None else None


def _blocks(body: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, out of the controls that hold them."""
    waiting = list(reversed(body))
    while waiting:
        element = waiting.pop()
        tag = local(element)
        if tag in ("p", "tbl"):
            yield element
        elif tag in ("sdt", "sdtcontent", "ins", "moveto", "customxml", "smarttag"):
            waiting.extend(reversed(element))


def _text(element: Any) -> str:
    """The text of a paragraph or a cell's paragraph, without what its text boxes hold."""
    parts: list[str] = []
    waiting = list(reversed(element))
    while waiting:
        part = waiting.pop()
        tag = local(part)
        if tag == "t":
            parts.append(part.text or "")
        elif tag in _BREAKS:
            parts.append(_BREAKS[tag])
        elif tag and tag not in _SKIPPED and tag != "txbxcontent":
            waiting.extend(reversed(part))
    return "".join(parts)


def _grid(table: Any) -> tuple[list[list[str]], int | None]:
    """The cells, merged ones filled downwards, and how many rows repeat as the table's head."""
    rows: list[list[str]] = []
    headers = 0
    for row in _rows(table):
        cells: list[str] = []
        before = rows[-1] if rows else []
        for cell in (e for e in _inside(row) if local(e) == "tc"):
            merged = cell.find(f"{_W}tcPr/{_W}vMerge")
            span = cell.find(f"{_W}tcPr/{_W}gridSpan")
            wide = (span.get(_VAL) or "") if span is not None else ""
            if merged is not None and merged.get(_VAL) != "restart":
                text = before[len(cells)] if len(cells) < len(before) else ""
            else:
                text = " ".join(_text(paragraph) for paragraph in cell.iter(f"{_W}p"))
            cells.append(text)
            head = row.find(f"{_W}trPr/{_W}tblHeader") is not None
            for _ in range(min(63, int(wide[:5])) - 1 if wide.isascii() and wide.isdigit() else 0):
                cells.append(text if head else "")
        if row.find(f"{_W}trPr/{_W}tblHeader") is not None and headers == len(rows):
            headers += 1
        rows.append(cells)
    return rows, headers or None


def _rows(table: Any) -> Iterator[Any]:
    return (element for element in _inside(table) if local(element) == "tr")


def _inside(element: Any) -> Iterator[Any]:
    """An element's children, those of controls around them in their place."""
    waiting = list(reversed(element))
    while waiting:
        part = waiting.pop()
        if local(part) in ("sdt", "sdtcontent", "ins", "customxml"):
            waiting.extend(reversed(part))
        else:
            yield part
