"""A document's view → sections → chunks that end where sentences end."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence

from xhqa.script import CLOSERS, display_width, fold
from xhqa.types import Chunk, Document, Heading, Section, View

TokenCounter = Callable[[Sequence[str]], list[int]]

_LINE = re.compile(r"[^\n]+")
_FENCE = re.compile(r"(`{3,}|~{3,})(.*)")
# Ends a sentence: white space and a new beginning follow, no abbreviation precedes.
_FULL_STOP = (
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bNo)(?<!\bvs)(?<!\b[A-Z])(?<!\b[aeip]\.[a-z])"
    rf"\.(?=[{re.escape(CLOSERS)}]*\s+[^a-z\s])"
)
_SENTENCE_END = re.compile(rf"(?:[。！？!?]|{_FULL_STOP}|…(?=[^…]*\n))+|\n+")
# 9,659 and 10:30 are one word.
_CLAUSE = re.compile(r"[；;，：、\s]|[,:](?!\d)|(?<!\d)[,:]")
_MARKDOWN = re.compile(r"(#{1,6})\s+(.*)$")
_NUMBERED: tuple[tuple[int, re.Pattern[str]], ...] = (
    (10, re.compile(r"第[一二三四五六七八九十百零〇\d]{1,5}[编篇部章回](?=[\s:：]|$)")),
    (11, re.compile(r"第[一二三四五六七八九十百零〇\d]{1,5}[节条](?=[\s:：]|$)")),
    (12, re.compile(r"[一二三四五六七八九十]{1,3}[、.．]\s*\S")),
    (13, re.compile(r"[（(][一二三四五六七八九十]{1,3}[)）]")),
    (12, re.compile(r"(?:chapter|part)\s+(?:\d+|[ivxl]+)\b", re.IGNORECASE)),
)
_DOTTED = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,4})[.、]?\s*[^\d\s.,、%％年月日亿万千百元倍个]")
_QUOTES = "\"'“”‘’「」『』"
_MAX_HEADING = 80
_MAX_PLAIN_HEADING = 44
# No sentence is looked at as a whole beyond this: a file may be one line of millions of characters.
_MAX_SENTENCE = 8192


def sections(document: Document, view: View) -> list[Section]:
    """The parts of ``view`` under one heading path each, in order, each with its heading line.

    The first heading is left out of the paths where it is the document's title.
    """
    lines = [(match.start(), match.end()) for match in _LINE.finditer(view.text)]
    found: list[Section] = []
    path: list[tuple[int, str]] = []
    markdown = document.media_type == "text/markdown"
    fence = ""
    opened = 0
    bare = False
    for number, (start, end) in enumerate(lines):
        line = view.text[start:end].strip()
        if markdown:
            fence = _fence_after(line, fence)
        before_blank = number == 0 or view.text[lines[number - 1][1] : start].count("\n") > 1
        following = lines[number + 1] if number + 1 < len(lines) else None
        after_blank = following is not None and view.text[end : following[0]].count("\n") > 1
        after = view.text[slice(*following)] if following else ""
        marked = _marked(document, view.origin[start])
        if marked or display_width(line) <= _MAX_HEADING:
            # As in the file: in 第一章 总则 the space between Han characters is no damage.
            line = " ".join(document.text[slice(*view.to_source(start, end))].split())
        if marked:
            rank: int | None = marked.level
        elif fence:
            rank = None
        else:
            # Where the format says which lines are headings, short ones that stand alone are none.
            following_text = "" if document.headings else after
            rank = _rank(line, markdown, before_blank and after_blank, following_text)
        if rank is None:
            bare = False
            continue
        # Headings right under one another open one section together.
        if not bare:
            _close(found, path, opened, start, view)
            opened = start
        bare = True
        name = _heading_name(line if marked or 10 <= rank < 20 else view.text[start:end])
        if number == 0 and _same_title(name, document.title):
            continue
        while path and path[-1][0] >= rank:
            path.pop()
        path.append((rank, name))
    _close(found, path, opened, len(view.text), view)
    return found


def _fence_after(line: str, fence: str) -> str:
    """The open fence of a Markdown code block behind a line, given that before it; "" for none
    (CommonMark 0.31, "Fenced code blocks")."""
    found = _FENCE.match(line)
    if found is None:
        return fence
    if not fence:
        # ```pip install x``` is code within a line.
        return "" if found[1][0] == "`" and "`" in found[2] else found[1]
    closes = found[1].startswith(fence) and not found[2].strip()
    return "" if closes else fence


def _marked(document: Document, at: int) -> Heading | None:
    """The heading of ``document`` that the character at ``at`` belongs to."""
    number = bisect_right(document.headings, at, key=lambda heading: heading.start) - 1
    if number < 0 or document.headings[number].end <= at:
        return None
    return document.headings[number]


def _close(
    found: list[Section], path: list[tuple[int, str]], start: int, end: int, view: View
) -> None:
    body = view.text[start:end]
    if body.strip():
        start += len(body) - len(body.lstrip())
        found.append(Section(tuple(name for _, name in path), start, start + len(body.strip())))


def _rank(line: str, markdown: bool, alone: bool, after: str) -> int | None:
    """How deep a heading line stands (smaller is higher); None where it is no heading."""
    if markdown and (match := _MARKDOWN.match(line)):
        return len(match[1]) if match[2] else None
    if display_width(line) > _MAX_HEADING or line.rstrip(CLOSERS)[-1:] in tuple(
        "。！？!?；;，,、：:…"
    ):
        return None
    short = display_width(line) <= _MAX_PLAIN_HEADING and not re.search(r"[，,；;。！？!?]", line)
    for rank, pattern in _NUMBERED:
        if pattern.match(line) and (short or alone):
            return rank
    if not after or not alone or not short:
        return None
    if match := _DOTTED.match(line):
        return 14 + match[1].count(".")
    return 20 if not markdown and display_width(after) > display_width(line) else None


def _heading_name(line: str) -> str:
    if match := _MARKDOWN.match(line):
        line = match[2].rstrip().rstrip("#")
    return line.strip().strip(_QUOTES).strip() or line


def _same_title(name: str, title: str) -> bool:
    return "".join(fold(name).split()) == "".join(fold(title).strip(_QUOTES).split())


def sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Half-open ranges of the sentences of ``text[start:end]``, white space left out."""
    found = []
    at = start
    for match in _SENTENCE_END.finditer(text, start, end):
        closed = _closers_end(text, match.end(), end)
        found.append((at, closed))
        at = closed
    found.append((at, end))
    return [trimmed for piece in found if (trimmed := _trim(text, *piece)) is not None]


def _closers_end(text: str, at: int, end: int) -> int:
    """Past the closing quotes and brackets at ``at``. A straight quote closes only where an odd
    number of them stands before it in its line."""
    while at < end and text[at] in CLOSERS:
        if text[at] in "\"'":
            seen = max(0, at - _MAX_SENTENCE)
            line = max(seen, text.rfind("\n", seen, at) + 1)
            if text.count(text[at], line, at) % 2 == 0:
                break
        at += 1
    return at


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def split(
    document: Document, view: View, count_tokens: TokenCounter, max_tokens: int = 256
) -> list[Chunk]:
    """Chunks of at most ``max_tokens`` tokens each, within one section, cut at sentence ends.

    A chunk begins with the last sentence of the one before it where both fit. Sentences that
    are too long themselves are cut at pauses.
    """
    chunks: list[Chunk] = []
    for section in sections(document, view):
        pieces = [
            part
            for a, b in sentences(view.text, section.start, section.end)
            for part in _manageable(view.text, a, b)
        ]
        sizes = count_tokens([view.text[a:b] for a, b in pieces])
        units: list[tuple[int, int, int]] = []
        for (a, b), size in zip(pieces, sizes, strict=True):
            if size <= max_tokens:
                units.append((a, b, size))
            else:
                units.extend(_cut(view.text, a, b, count_tokens, max_tokens))
        group: list[tuple[int, int, int]] = []
        total = 0
        for unit in units:
            if group and total + unit[2] > max_tokens:
                chunks.append(_chunk(document, view, section, group, len(chunks)))
                last = group[-1]
                group = [last] if len(group) > 1 and last[2] + unit[2] <= max_tokens else []
                total = sum(size for _, _, size in group)
            group.append(unit)
            total += unit[2]
        if group:
            chunks.append(_chunk(document, view, section, group, len(chunks)))
    return chunks


def _manageable(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The sentence, cut at pauses where it is longer than any real one."""
    found = []
    while end - start > _MAX_SENTENCE:
        window = start + _MAX_SENTENCE // 2, start + _MAX_SENTENCE
        at = max((match.end() for match in _CLAUSE.finditer(text, *window)), default=window[1])
        found.append((start, at))
        start = at
    found.append((start, end))
    return [trimmed for piece in found if (trimmed := _trim(text, *piece)) is not None]


def _cut(
    text: str, start: int, end: int, count_tokens: TokenCounter, max_tokens: int
) -> list[tuple[int, int, int]]:
    """Cut one long sentence: at a pause where there is one, otherwise anywhere."""
    (size,) = count_tokens([text[start:end]])
    if size <= max_tokens or end - start < 2:
        return [(start, end, size)]
    middle = (start + end) // 2
    pauses = [m.end() for m in _CLAUSE.finditer(text, start, end) if start < m.end() < end]
    near = [p for p in pauses if abs(p - middle) <= (end - start) // 4]
    at = min(near, key=lambda p: abs(p - middle)) if near else middle
    halves = [half for half in (_trim(text, start, at), _trim(text, at, end)) if half]
    return [unit for half in halves for unit in _cut(text, *half, count_tokens, max_tokens)]


def _chunk(
    document: Document,
    view: View,
    section: Section,
    group: Sequence[tuple[int, int, int]],
    number: int,
) -> Chunk:
    first, last = group[0][0], group[-1][1]
    start, end = view.to_source(first, last)
    return Chunk(
        id=f"{document.id}#{number}",
        document_id=document.id,
        section_path=section.path,
        start=start,
        end=end,
        view=View(view.text[first:last], view.origin[first:last]),
        sentences=tuple((a - first, b - first) for a, b, _ in group),
    )
