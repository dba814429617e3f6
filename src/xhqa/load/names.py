"""What a document is called: its id, its title."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path

from xhqa.script import SENTENCE_END, display_width


def document_id(source_name: str) -> str:
    """A readable id made of the path less its ending: ``a/徐汇 报告.txt`` → ``a-徐汇-报告``.

    Names that had to be cut get a hash, so that different paths keep different ids.
    """
    stem = source_name.rsplit(".", 1)[0] if "." in Path(source_name).name[1:] else source_name
    slug = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", stem).lower()).strip("-")
    if slug and len(slug) <= 80:
        return slug
    digest = hashlib.sha256(source_name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{slug[:64]}-{digest}".strip("-")


def storable(name: str) -> str:
    """A file name as text: bytes that are no UTF-8, which Python keeps as lone surrogates, become
    U+FFFD, and so do control characters."""
    return "".join(
        "\ufffd" if unicodedata.category(char) in ("Cc", "Cs") else char for char in name
    )


def first_line_title(text: str, source_name: str) -> str:
    """The first line that says something, where it looks like a title; else the file's name."""
    body = re.sub(r"\A\s*---\n.*?\n---\n", "", text.replace("\r\n", "\n"), flags=re.DOTALL)
    for line in body.splitlines():
        line = " ".join(line.split()).lstrip("#").strip()
        if any(char.isalnum() for char in line):
            fits = display_width(line) <= 80 and line[-1] not in SENTENCE_END + "，、,"
            return line if fits else stem(source_name)
    return stem(source_name)


def stem(source_name: str) -> str:
    return Path(source_name).stem
