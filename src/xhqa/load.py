"""A file → ``Document``: encodings, titles and ids; and the repair of its layout."""

from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from array import array
from collections.abc import Iterator
from pathlib import Path

from xhqa.errors import InputError
from xhqa.script import (
    CLOSERS,
    SENTENCE_END,
    display_width,
    fold_char,
    is_wide,
    straddles,
)
from xhqa.types import Document, View

MEDIA_TYPES = {".txt": "text/plain", ".md": "text/markdown", ".markdown": "text/markdown"}

_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_TEXT_CONTROLS = frozenset("\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85")


def decode(data: bytes, name: str) -> str:
    """The text of ``data`` in UTF-8 (with or without BOM), UTF-16, GB18030 or Big5.

    Raises InputError naming ``name`` where the bytes are none of these or are no text.
    """
    text = _decode(data)
    if text is None:
        raise InputError(
            f"{name} is not text in UTF-8, UTF-16, GB18030 or Big5: save it as UTF-8 text"
        )
    if not text.strip():
        raise InputError(f"{name} holds no text: nothing to index")
    controls = sum(
        1 for char in text if unicodedata.category(char) == "Cc" and char not in _TEXT_CONTROLS
    )
    if "\0" in text or controls > max(1, len(text) // 200):
        raise InputError(f"{name} is not a text file (it holds control characters)")
    return text


def _decode(data: bytes) -> str | None:
    if data.startswith(b"\xef\xbb\xbf"):
        return _strictly(data[3:], "utf-8")
    if data.startswith(_UTF16_BOMS):
        return _strictly(data, "utf-16")
    text = _strictly(data, "utf-8")
    if text is not None and "\0" not in text:
        return text
    candidates = [
        (_plausibility(decoded), decoded)
        for encoding in ("gb18030", "cp950", "big5hkscs", "utf-16-le", "utf-16-be")
        if (decoded := _strictly(data, encoding)) is not None
    ]
    score, best = max(candidates, default=(0.0, None), key=lambda pair: pair[0])
    return best if score > 0.5 else None


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _plausibility(text: str) -> float:
    """The share of characters one expects in Chinese text.

    Both GB 2312 and Big5 put their common characters into a first level; bytes decoded by the
    wrong table land evenly over rare ones, private use and half of a symbol block.
    """
    expected = other = 0
    for char in text:
        if char.isspace():
            continue
        if char.isascii():
            if char.isprintable():
                expected += 1
            else:
                other += 4
        elif _is_common(char):
            expected += 2
        else:
            other += 2
    return expected / (expected + other) if expected else 0.0


def _is_common(char: str) -> bool:
    for encoding, first, last in (("gb2312", 0xA1, 0xD7), ("big5", 0xA1, 0xC6)):
        try:
            lead = char.encode(encoding)[0]
        except UnicodeEncodeError:
            continue
        if first <= lead <= last:
            return True
    return False


def load(data: bytes, source_name: str) -> Document:
    """The document in the bytes of a file called ``source_name`` (a path below the indexed
    folder, or an uploaded name). Raises InputError for what cannot be read."""
    suffix = Path(source_name).suffix.lower()
    if suffix not in MEDIA_TYPES:
        known = ", ".join(sorted(MEDIA_TYPES))
        raise InputError(f"{source_name}: cannot read {suffix or 'this kind of'} files ({known})")
    text = decode(data, source_name)
    return Document(
        id=document_id(source_name),
        title=_title(text, source_name),
        text=text,
        source_name=source_name,
        sha256=hashlib.sha256(data).hexdigest(),
        media_type=MEDIA_TYPES[suffix],
    )


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


def _title(text: str, source_name: str) -> str:
    body = re.sub(r"\A\s*---\n.*?\n---\n", "", text.replace("\r\n", "\n"), flags=re.DOTALL)
    for line in body.splitlines():
        line = " ".join(line.split()).lstrip("#").strip()
        if any(char.isalnum() for char in line):
            fits = display_width(line) <= 80 and line[-1] not in SENTENCE_END + "，、,"
            return line if fits else _stem(source_name)
    return _stem(source_name)


def _stem(source_name: str) -> str:
    return Path(source_name).stem


def files(paths: list[Path]) -> Iterator[tuple[Path, str]]:
    """The readable files under ``paths`` as (path, source name), sorted; hidden ones left out.

    A file named directly is always given, so that one of an unknown kind is refused by name.
    Raises InputError for a path that does not exist.
    """
    for path in paths:
        if path.is_file():
            yield path, path.name
        elif path.is_dir():
            for found in sorted(path.rglob("*")):
                relative = found.relative_to(path)
                hidden = any(part.startswith(".") for part in relative.parts)
                if found.is_file() and not hidden and found.suffix.lower() in MEDIA_TYPES:
                    yield found, relative.as_posix()
        else:
            raise InputError(f"{path} does not exist: name a file or a folder of documents")


# Layout repair

_DROPPED = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad")
_LINE = re.compile(r"[^\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
_BLOCK_START = re.compile(
    r"#{1,6}\s|[-*+•●■◆▪·]\s?|>\s?|\||```|~~~|\d{1,3}[.、)）]\s?\D|[（(][一二三四五六七八九十\d]{1,3}[)）]"
    r"|[一二三四五六七八九十]{1,3}、|第[一二三四五六七八九十百零\d]{1,4}[章节篇部回条]"
)
_SENTENCE_STOP = re.compile(r"[。！？!?]|[a-z]\.(?:\s|$)")
_HYPHENATED = re.compile(r"[a-z]-$")
_BREAK_BEFORE = re.compile(r"[。！？!?；;…:：.]$")


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
    seams = _seams([text for _, text in lines], _blank_between(source, lines), markdown)
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
            elif seam == "" and not _needs_no_space(text, line):
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
            if len(text) > opened and not (is_wide(text[-1]) and is_wide(char)):
                text.append(" ")
                origin.append(space_at)
            space_at = -1
        text.append(fold_char(char))
        origin.append(at)


def _vanishes(char: str) -> bool:
    return char.isspace() or char in _DROPPED or unicodedata.category(char) == "Cc"


def _needs_no_space(text: list[str], line: str) -> bool:
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
            hyphen = _HYPHENATED.search(before) and after[0].islower()
            seams.append("-" if hyphen else "")
        else:
            seams.append("\n\n" if blank[number] else "\n")
    return seams


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
