"""A file → ``Document``: its format, its text and structure; and the repair of its layout."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from xhqa.errors import InputError
from xhqa.load.encoding import decode
from xhqa.load.formats import FORMATS, UNREAD, format_of
from xhqa.load.layout import repair
from xhqa.load.names import document_id, first_line_title, stem, storable
from xhqa.types import Document

__all__ = ["decode", "document_id", "files", "load", "read", "repair"]

_MAX_BYTES = 512 * 2**20
_TABLES = frozenset({".csv", ".tsv", ".xlsx"})


def load(data: bytes, source_name: str) -> Document:
    """The document in the bytes of a file called ``source_name`` (a path below the indexed
    folder, or an uploaded name). Raises InputError for what cannot be read."""
    source_name = storable(source_name)
    found = format_of(data, source_name)
    extracted = found.extract(data, source_name)
    title = extracted.title
    if not title and Path(source_name).suffix.lower() in _TABLES:
        title = stem(source_name)
    return Document(
        id=document_id(source_name),
        title=title or first_line_title(extracted.text, source_name),
        text=extracted.text,
        source_name=source_name,
        sha256=hashlib.sha256(data).hexdigest(),
        media_type=found.media_type,
        headings=extracted.headings,
        pages=extracted.pages,
    )


def read(path: Path, source_name: str) -> Document:
    """``load`` of a file on disk; InputError too where it cannot be opened or is too large."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(
                f"{storable(source_name)} is over {_MAX_BYTES // 2**20} MB: split it into smaller "
                "files"
            )
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{storable(source_name)} cannot be opened ({error.strerror}): make it readable"
        ) from error
    return load(data, source_name)


def files(paths: list[Path]) -> Iterator[tuple[Path, str]]:
    """The documents under ``paths`` as (path, source name), sorted; hidden ones left out.

    Those in formats that are not read are given too, and so is any file named directly, so that
    they are refused by name. Raises InputError for a path that does not exist.
    """
    for path in paths:
        if path.is_file():
            yield path, path.name
        elif path.is_dir():
            for found in sorted(path.rglob("*")):
                relative = found.relative_to(path)
                # Office keeps "~$report.docx" beside a document that is open.
                hidden = any(part.startswith((".", "~$")) for part in relative.parts)
                suffix = found.suffix.lower()
                if found.is_file() and not hidden and (suffix in FORMATS or suffix in UNREAD):
                    yield found, relative.as_posix()
        else:
            raise InputError(f"{path} does not exist: name a file or a folder of documents")
