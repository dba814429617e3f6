"""The repair of layout: the text that is searched and read, with the way back."""

from __future__ import annotations

import itertools
import re
import unicodedata
from array import array

from xhqa.script import CLOSERS, display_width, fold_char, is_wide, needs_no_space
from xhqa.segment import straddles
from xhqa.types import Document, View

_DROPPED = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad")
_LINE = re.compile(r"[^\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
_BLOCK_START = re.compile(
    r"#{1,6}\s|[-*+•●■◆▪·]\s?|>\s?|\||```|~~~|\d{1,3}[.、)）]\s?\D|[（(][一二三四五六七八九十\d]{1,3}[)）]"
    r"|[一二三四五六七八九十]{1,3}、|第[一二三四五六七八九十百零\d]{1,4}[章节篇部回条]"
)
_SENTENCE_STOP = re.compile(r"[。！？!?]|[a-z]\.(?:\s|$)")
_HYPHENATED = re.compile(r"[a-z]-$")
_BREAK_BEFORE = re.compile(r"[。！？!?；;…:：.]$")


# Formats whose every line break means something, and one where only blank lines do: there the
# loader knows from the page itself which lines go on.
_GIVEN = frozenset(
    {
        "text/csv",
        "text/tab-separated-values",
        "text/html",
        "application/epub+zip",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
)
_WRAPPED = "application/pdf"


def repair(document: Document) -> View:
    """The text that is searched and read: sentences made whole, characters folded, each one with
    its offset in ``document.text``.

    Lines that a page or a column cut are joined; spaces between Han characters, zero-width
    characters and control characters go; full-width letters and digits and Traditional
    characters are folded one for one. ``"\\n"`` stands for a line break that means something,
    ``"\\n\\n"`` for a blank line.
    """
    source = document.text
    lines = [
        (match.start() + len(raw) - len(raw.lstrip()), raw.strip())
        for match in _LINE.finditer(source)
        if (raw := match.group()).strip() and not all(map(_vanishes, raw))
    ]
    markdown = document.media_type == "text/markdown"
    texts, blank = [text for _, text in lines], _blank_between(source, lines)
    if document.media_type in _GIVEN:
        seams = ["\n\n" if apart else "\n" for apart in blank]
    elif document.media_type == _WRAPPED:
        seams = [
            "\n\n" if apart else _joined(*pair)
            for apart, pair in zip(blank, itertools.pairwise(texts), strict=True)
        ]
    else:
        seams = _seams(texts, blank, markdown)
    text: list[str] = []
    origin = array("l")
    for number, (start, line) in enumerate(lines):
        if number:
            seam = seams[number - 1]
            if markdown and seam == "" and _BLOCK_START.match(line):
                seam = "\n"
            if seam == "-":
                text.pop()
                origin.pop()
                seam = ""
            elif seam == "" and not _joined_without_space(text, line):
                seam = " "
            at = origin[-1] + 1
            for char in seam:
                text.append(char)
                origin.append(at)
        _append_line(source, start, len(line), text, origin)
    return View("".join(text), origin)


def _append_line(source: str, start: int, size: int, text: list[str], origin: array[int]) -> None:
    """Fold one line; a run of white space becomes one space, or none between wide characters."""
    space_at = -1
    opened = len(text)
    for at in range(start, start + size):
        char = source[at]
        if char in _DROPPED:
            continue
        if _vanishes(char):
            space_at = at if space_at < 0 else space_at
            continue
        if space_at >= 0:
            if len(text) > opened and not needs_no_space(text[-1], char):
                text.append(" ")
                origin.append(space_at)
            space_at = -1
        text.append(fold_char(char))
        origin.append(at)


def _vanishes(char: str) -> bool:
    return char.isspace() or char in _DROPPED or unicodedata.category(char) == "Cc"


def _joined_without_space(text: list[str], line: str) -> bool:
    return bool(text) and (is_wide(text[-1]) or is_wide(line[0]))


def _blank_between(source: str, lines: list[tuple[int, str]]) -> list[bool]:
    """For each pair of neighbours, whether a blank line (or page break) stands between."""
    return [
        len(re.findall(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]", source[a + len(line) : b])) > 1
        for (a, line), (b, _) in itertools.pairwise(lines)
    ]


def _seams(lines: list[str], blank: list[bool], markdown: bool) -> list[str]:
    """What stands between neighbouring lines: "\\n\\n", "\\n", "" (joined) or "-" (joined, and
    the hyphen at the end of the first goes)."""
    width = _wrap_width(lines)
    seams = []
    for number, (before, after) in enumerate(itertools.pairwise(lines)):
        alone = (number == 0 or blank[number - 1]) and blank[number]
        next_alone = blank[number] and (number + 2 >= len(lines) or blank[number + 1])
        if _joins(before, after, blank[number], alone, next_alone, width, markdown):
            seams.append(_joined(before, after))
        else:
            seams.append("\n\n" if blank[number] else "\n")
    return seams


def _joined(before: str, after: str) -> str:
    """The seam of two lines that go on."""
    return "-" if _HYPHENATED.search(before) and after[0].islower() else ""


def _joins(
    before: str,
    after: str,
    blank: bool,
    alone: bool,
    next_alone: bool,
    width: int,
    markdown: bool,
) -> bool:
    body = before.rstrip(CLOSERS) or before
    if _BREAK_BEFORE.search(body) or _BREAK_BEFORE.search(before):
        return False
    if _BLOCK_START.match(after) or before.startswith(("#", "|", "```")):
        return False
    if blank and (markdown or _BLOCK_START.match(before)):
        return False
    if before[-1] in ",，、" or (_HYPHENATED.search(before) and after[0].islower()):
        return True
    if straddles(before, after):
        return True
    if not blank:
        return width > 0 and display_width(before) >= 0.8 * width
    if alone and looks_like_heading(before):
        return False
    return not (next_alone and looks_like_heading(after))


def _wrap_width(lines: list[str]) -> int:
    """The width at which the text was wrapped by hand, 0 where it was not."""
    unfinished = sorted(
        display_width(line) for line in lines if not _BREAK_BEFORE.search(line.rstrip(CLOSERS))
    )
    if len(unfinished) < 4:
        return 0
    wide = unfinished[int(0.9 * (len(unfinished) - 1))]
    full = sum(1 for width in unfinished if width >= 0.8 * wide)
    # Rows of a table and lists of addresses are as even, but hold no sentences.
    prose = sum(1 for line in lines if _SENTENCE_STOP.search(line)) >= 0.1 * len(lines)
    return wide if prose and wide >= 20 and full >= 0.5 * len(unfinished) else 0


def looks_like_heading(line: str) -> bool:
    """A short line that ends no sentence and has no pause in it."""
    bare = line.strip().strip("\"'“”‘’「」『』《》")
    return (
        0 < display_width(bare) <= 44
        and not re.search(r"[，,；;。！？!?]", bare)
        and not _BREAK_BEFORE.search(bare)
    )
