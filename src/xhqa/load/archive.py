"""Zip archives, and the XML in them, within bounds: nothing is unpacked to disk."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import Any

from xhqa.errors import InputError

_MAX_ENTRIES = 20_000
_MAX_TOTAL = 512 * 2**20
_MAX_PART = 64 * 2**20
_MAX_RATIO = 200
_SMALL = 2**20
# An element takes some two hundred bytes as a tree.
_MAX_MARKS = 4_000_000

_DTD = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def open_archive(data: bytes, name: str) -> zipfile.ZipFile:
    """The archive, if what it claims to hold is within bounds; InputError naming the file."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise InputError(f"{name} is broken ({error}): get a whole copy of it") from error
    entries = archive.infolist()
    if any(entry.flag_bits & 1 for entry in entries):
        raise InputError(f"{name} is protected with a password: save it without one")
    bomb = (
        len(entries) > _MAX_ENTRIES
        or sum(entry.file_size for entry in entries) > _MAX_TOTAL
        # Entries that overlap are packed once and unpacked many times.
        or sum(entry.compress_size for entry in entries) > len(data)
        or any(
            entry.file_size > _SMALL and entry.file_size > _MAX_RATIO * entry.compress_size
            for entry in entries
        )
        or any(
            entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            for entry in entries
        )
    )
    if bomb:
        raise InputError(
            f"{name} unpacks to far more than a document holds: save it anew in its own program"
        )
    return archive


def read_part(archive: zipfile.ZipFile, part: str, name: str) -> bytes:
    """One file of the archive; InputError where it is missing, damaged or too large."""
    try:
        entry = archive.getinfo(part)
        if entry.file_size > _MAX_PART:
            raise InputError(f"{name}: {part} in it is too large: split the document")
        return archive.read(entry)
    except KeyError as error:
        raise InputError(f"{name} is broken ({part} is missing): save it anew") from error
    except UnicodeDecodeError as error:
        # Its name stands twice in the archive, and the second one cannot be decoded.
        raise InputError(f"{name} is broken ({part} is damaged): get a whole copy") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise InputError(f"{name} is broken ({part}: {error}): get a whole copy") from error


def refuse_too_much_markup(data: bytes, name: str, most: int = _MAX_MARKS) -> None:
    if data.count(b"<") + data.count(b"=") > most:
        raise InputError(f"{name} holds too many elements: split the document")


def office_xml(archive: zipfile.ZipFile, part: str, name: str) -> Any:
    """The root element of an XML part of an Office file, which must hold no DTD."""
    data = read_part(archive, part, name)
    refuse_dtd(data, part, name)
    return parse_xml(data, part, name)


def refuse_dtd(data: bytes, part: str, name: str) -> None:
    if _DTD.search(data.replace(b"\0", b"")):
        raise InputError(f"{name}: {part} in it defines entities, which is not safe to read")


def parse_xml(data: bytes, part: str, name: str) -> Any:
    """The root element; entities are not expanded and nothing is fetched."""
    from lxml import etree

    refuse_too_much_markup(data, name)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True,
        remove_pis=True, huge_tree=False,
    )  # fmt: skip
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InputError(f"{name} is broken ({part}: {error}): save it anew") from error


def local(element: Any) -> str:
    """An element's name without its namespace; empty for entities and the like."""
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""
