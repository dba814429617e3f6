"""Files made by the formats' own libraries, for the tests of loading."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

FONT = "STSong-Light"

CONTAINER = (
    '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
    'version="1.0"><rootfiles><rootfile full-path="OPS/book.opf" '
    'media-type="application/oebps-package+xml"/></rootfiles></container>'
)


def archive(parts: dict[str, str | bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return data.getvalue()


def epub(chapters: Sequence[str], title: str = "书名", **more: str | bytes) -> bytes:
    """A book whose manifest names its chapters last first; the spine gives their order."""
    numbers = range(len(chapters))
    items = "".join(
        f'<item id="c{n}" href="text/%E7%AB%A0{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n in reversed(numbers)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in numbers)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></metadata>'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "OPS/book.opf": package,
            **{f"OPS/text/章{n}.xhtml": chapter for n, chapter in enumerate(chapters)},
            **more,
        }
    )


def page(body: str) -> str:
    """A chapter, with the empty title that swallows the page where it is read as HTML."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html '
        f'xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{body}</body></html>'
    )


def docx(fill: Any) -> bytes:
    """``fill`` gets python-docx's document."""
    import docx as library

    document = library.Document()
    fill(document)
    data = io.BytesIO()
    document.save(data)
    return data.getvalue()


def xlsx(fill: Any) -> bytes:
    """``fill`` gets openpyxl's workbook, without any sheet."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    fill(book)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def pdf(draw: Any, **options: Any) -> bytes:
    """``draw`` gets reportlab's canvas (A4: 595 × 842 points, from the lower left)."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    data = io.BytesIO()
    canvas = Canvas(data, pagesize=(595, 842), **options)
    canvas.setFont(FONT, 11)
    draw(canvas)
    canvas.save()
    return data.getvalue()


def pdf_lines(pages: Sequence[Sequence[tuple[float, float, float, str]]], **options: Any) -> bytes:
    """A PDF of pages of (x, y, size, text)."""

    def draw(canvas: Any) -> None:
        for lines in pages:
            for x, y, size, text in lines:
                canvas.setFont(FONT, size)
                canvas.drawString(x, y, text)
            canvas.showPage()

    return pdf(draw, **options)
