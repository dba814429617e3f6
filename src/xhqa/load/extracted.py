"""What a loader takes out of a file, and the builder that puts it together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from xhqa.errors import InputError
from xhqa.types import Heading

# A long novel has a million; more than this is not read as one document.
MAX_CHARACTERS = 10_000_000
MAX_LEVEL = 6

_NO_TEXT = re.compile("[\0-\x08\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a file. ``title`` is None where the format names none."""

    text: str
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    title: str | None = None


class TextBuilder:
    """Puts blocks of text one under the other; ``name`` is the file's, for errors.

    ``has_body``: whether anything but headings was added.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._parts: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self.has_body = False

    @property
    def headings(self) -> tuple[Heading, ...]:
        return tuple(self._headings)

    def heading(self, text: str, level: int) -> None:
        text = " ".join(clean(text).split())
        if not text:
            return
        self._add(text, "\n\n")
        level = max(1, min(MAX_LEVEL, level))
        self._headings.append(Heading(self._length - len(text), self._length, level))

    def paragraph(self, text: str) -> None:
        """A block with a blank line before it; its own line breaks stay."""
        self._body(text, "\n\n")

    def line(self, text: str) -> None:
        """A line right under the one before."""
        self._body(text, "\n")

    def rows(self, lines: Iterable[str]) -> None:
        """Lines under one another, apart from what is around them."""
        add = self.paragraph
        for text in lines:
            add(text)
            add = self.line

    def finish(self, title: str | None = None) -> Extracted:
        """Raises InputError where nothing was added."""
        if not self._parts:
            raise InputError(f"{self.name} holds no text: nothing to index")
        title = " ".join(clean(title or "").split()) or None
        return Extracted("".join(self._parts), self.headings, (), title)

    def _body(self, text: str, seam: str) -> None:
        text = _lines(text)
        self.has_body = self.has_body or bool(text)
        self._add(text, seam)

    def _add(self, text: str, seam: str) -> None:
        if not text:
            return
        if self._parts:
            text = seam + text
        self._parts.append(text)
        self._length += len(text)
        refuse_too_long(self._length, self.name)


def refuse_too_long(characters: int, name: str) -> None:
    if characters > MAX_CHARACTERS:
        raise InputError(
            f"{name} holds more than {MAX_CHARACTERS:,} characters: split it into smaller files"
        )


def clean(text: str) -> str:
    """``text`` without characters that no text file holds."""
    return _NO_TEXT.sub("", text)


def _lines(text: str) -> str:
    lines = (" ".join(line.split()) for line in clean(text).splitlines())
    return "\n".join(line for line in lines if line)
