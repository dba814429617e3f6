"""EPUB → the text of its chapters in reading order."""

from __future__ import annotations

import posixpath
import zipfile
from urllib.parse import unquote

from xhqa.errors import InputError
from xhqa.load.archive import local, open_archive, parse_xml, read_part
from xhqa.load.extracted import Extracted, TextBuilder
from xhqa.load.html import add_page, parse_page

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/xml")


def extract_epub(data: bytes, name: str) -> Extracted:
    """Raises InputError for a book that is broken, protected or without text."""
    archive = open_archive(data, name)
    package_part = _package_part(archive, name)
    package = parse_xml(read_part(archive, package_part, name), package_part, name)
    folder = posixpath.dirname(package_part)
    chapters: dict[str, str] = {}
    spine: list[str] = []
    title = None
    for element in package.iter():
        tag = local(element)
        if tag == "title" and title is None:
            title = "".join(element.itertext())
        elif tag == "item" and element.get("media-type") in _PAGES:
            path = posixpath.normpath(posixpath.join(folder, unquote(element.get("href") or "")))
            chapters[element.get("id") or ""] = path
        elif tag == "itemref":
            spine.append(element.get("idref") or "")
    parts = list(dict.fromkeys(chapters[idref] for idref in spine if idref in chapters))
    if not parts:
        raise InputError(f"{name} is broken (it names no chapters): get a whole copy of it")
    _refuse_protected(archive, parts, name)
    builder = TextBuilder(name)
    for part in parts:
        add_page(parse_page(read_part(archive, part, name), f"{name} ({part})"), builder)
    return builder.finish(title)


def _package_part(archive: zipfile.ZipFile, name: str) -> str:
    container = parse_xml(read_part(archive, _CONTAINER, name), _CONTAINER, name)
    for element in container.iter():
        if local(element) == "rootfile" and element.get("full-path"):
            return str(element.get("full-path"))
    raise InputError(f"{name} is broken ({_CONTAINER} names no book): get a whole copy of it")


def _refuse_protected(archive: zipfile.ZipFile, parts: list[str], name: str) -> None:
    """Fonts may be scrambled; chapters that are cannot be read."""
    if _ENCRYPTION not in archive.namelist():
        return
    encryption = parse_xml(read_part(archive, _ENCRYPTION, name), _ENCRYPTION, name)
    for element in encryption.iter():
        if local(element) == "cipherreference" and unquote(element.get("URI") or "") in parts:
            raise InputError(f"{name} is protected (DRM): add a copy without protection")
