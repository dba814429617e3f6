"""Which format a file is in: by its content where that tells, by its ending otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from xhqa.errors import InputError
from xhqa.load.archive import open_archive
from xhqa.load.csv import extract_csv
from xhqa.load.docx import extract_docx
from xhqa.load.encoding import decode
from xhqa.load.epub import extract_epub
from xhqa.load.extracted import Extracted, refuse_too_long
from xhqa.load.html import extract_html
from xhqa.load.pdf import extract_pdf
from xhqa.load.xlsx import extract_xlsx


def _extract_text(data: bytes, name: str) -> Extracted:
    text = decode(data, name)
    refuse_too_long(len(text), name)
    return Extracted(text)


@dataclass(frozen=True, slots=True)
class Format:
    """``binary``: its content tells it, so a file of another kind cannot have its ending."""

    name: str
    media_type: str
    extract: Callable[[bytes, str], Extracted]
    binary: bool = False


_TEXT = Format("text", "text/plain", _extract_text)
_MARKDOWN = Format("Markdown", "text/markdown", _extract_text)
_HTML = Format("HTML", "text/html", extract_html)
_CSV = Format("CSV", "text/csv", extract_csv)
_TSV = Format("TSV", "text/tab-separated-values", extract_csv)
_PDF = Format("PDF", "application/pdf", extract_pdf, binary=True)
_EPUB = Format("EPUB", "application/epub+zip", extract_epub, binary=True)
_OFFICE = "application/vnd.openxmlformats-officedocument."
_DOCX = Format("Word", f"{_OFFICE}wordprocessingml.document", extract_docx, binary=True)
_XLSX = Format("Excel", f"{_OFFICE}spreadsheetml.sheet", extract_xlsx, binary=True)

FORMATS = {
    ".txt": _TEXT,
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".html": _HTML,
    ".htm": _HTML,
    ".xhtml": _HTML,
    ".csv": _CSV,
    ".tsv": _TSV,
    ".pdf": _PDF,
    ".docx": _DOCX,
    ".xlsx": _XLSX,
    ".epub": _EPUB,
}
_SUFFIXES = {".pdf": _PDF, ".docx": _DOCX, ".xlsx": _XLSX, ".epub": _EPUB}

# Documents too, in formats that are not read: refused by name, never passed over.
UNREAD = {
    **dict.fromkeys((".doc", ".docm", ".dot", ".wps", ".odt", ".rtf", ".pages"), ".docx"),
    **dict.fromkeys((".xls", ".xlsm", ".xlsb", ".et", ".ods", ".numbers"), ".xlsx"),
    **dict.fromkeys((".ppt", ".pptx", ".dps", ".odp", ".key", ".ofd", ".caj", ".xps"), ".pdf"),
    **dict.fromkeys((".mobi", ".azw", ".azw3"), ".epub"),
}

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PROTECTED = "EncryptedPackage".encode("utf-16-le")
_BINARY_HEADS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
)


def format_of(data: bytes, name: str) -> Format:
    """The format of a file called ``name``; InputError where it is none that is read, or where
    its content and its ending contradict one another."""
    suffix = PurePath(name).suffix.lower()
    expected = FORMATS.get(suffix)
    if not data.strip():
        raise InputError(f"{name} is empty: nothing to index")
    found = _by_content(data, name, expected)
    if found is not None:
        if expected is found or (expected is None and suffix not in UNREAD):
            return found
        right = next(ending for ending, known in _SUFFIXES.items() if known is found)
        raise InputError(
            f"{name} is a file of the format {found.name} with another ending: rename it to end "
            f"in {right}"
        )
    if suffix in UNREAD:
        raise InputError(f"{name}: {suffix} files are not read: save it as {UNREAD[suffix]}")
    if expected is None:
        known = ", ".join(sorted(FORMATS))
        raise InputError(f"{name}: cannot read {suffix or 'this kind of'} files ({known})")
    if expected.binary:
        raise InputError(
            f"{name} ends in {suffix} but is no {expected.name} file{_instead(data)}: get a whole "
            "copy of it, or give it the ending of what it is"
        )
    return expected


def _by_content(data: bytes, name: str, expected: Format | None) -> Format | None:
    """The format that the content itself names; None where it names none."""
    if data.startswith(b"PK\x03\x04") or (data.startswith(b"PK\x05\x06") and len(data) == 22):
        return _by_parts(data, name)
    if data.startswith(_OLE):
        if _PROTECTED in data:
            raise InputError(f"{name} is protected with a password: save it without one")
        raise InputError(f"{name} is in the old format of Word or Excel: save it as .docx or .xlsx")
    # Something may stand before a PDF's head; in a text file it may be what the text is about.
    head = data[:1024] if expected is None or expected.binary else data[:8].lstrip()
    at = head.find(b"%PDF-")
    if at == 0 or (at > 0 and (expected is None or expected.binary)):
        return _PDF
    for start, kind in _BINARY_HEADS:
        if data.startswith(start):
            raise InputError(f"{name} is {kind}, not a document: there is no text in it to index")
    return None


def _by_parts(data: bytes, name: str) -> Format:
    """Which of the formats that are archives this is."""
    archive = open_archive(data, name)
    parts = set(archive.namelist())
    if "META-INF/container.xml" in parts:
        return _EPUB
    if "[Content_Types].xml" in parts:
        folders = {part.partition("/")[0] for part in parts}
        if "word" in folders:
            return _DOCX
        if "xl" in folders:
            return _XLSX
    raise InputError(
        f"{name} is an archive, but no Word, Excel or EPUB file: unpack it and add its files"
    )


def _instead(data: bytes) -> str:
    if re.match(rb"\s*(?:\xef\xbb\xbf)?<(?:!doctype html|html|\?xml|table)", data[:256], re.I):
        return " (it is HTML)"
    if data.startswith(b"{\\rtf"):
        return " (it is RTF)"
    return ""
