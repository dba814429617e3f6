"""Bytes → text: the encodings that Chinese and English files come in."""

from __future__ import annotations

import re
import string
import unicodedata

from xhqa.errors import InputError

_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_ASCII = bytes(range(128))
_LETTERS = string.ascii_letters.encode()
# Signs of Windows-1252 where English text has them, and only there: beside a letter, or before what
# is no second half of a Chinese character.
_WESTERN = re.compile(
    b"(?<![\x80-\xff])(?:%s)(?![\x80-\xff])"
    % b"|".join(
        (
            rb"(?<=[!-~])[\x85\x92\x94\x96\x97\x99\xa0]+",  # … ’ ” – — ™ and no-break spaces
            rb"(?<!\w)[\x91\x93]+(?=[!-~])",  # ‘ “
            rb"(?<=[A-Za-z])[\xdf-\xf6\xf8-\xff]{1,2}",  # in and after a word, öß too
            rb"(?<!\w)[\xc0-\xd6\xd8-\xf6\xf8-\xff](?=[a-z])",  # before one
            rb"(?<=[A-Z])[\xc7-\xd6\xd8-\xde](?=[A-Z])",
            rb"[\x80-\xff](?=[\s!-9]|\Z)",  # £5
            rb"\xb0(?=[CF]\b)|(?<!\w)\xb5(?=[A-Za-z]\b)",  # °C, µm
        )
    )
)
_TEXT_CONTROLS = frozenset("\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85")


def decode(data: bytes, name: str) -> str:
    """The text of ``data`` in UTF-8 (with or without BOM), UTF-16, GB18030, Big5 or, where it is
    English, Windows-1252.

    Raises InputError naming ``name`` where the bytes are none of these or are no text.
    """
    text = _decode(data)
    if text is None:
        raise InputError(
            f"{name} is not text in UTF-8, UTF-16, GB18030, Big5 or Windows-1252: save it as UTF-8 "
            "text"
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
    if _is_western(data):
        return data.decode("cp1252", "replace")
    candidates = [
        (_plausibility(decoded), decoded)
        for encoding in ("gb18030", "cp950", "big5hkscs", "utf-16-le", "utf-16-be")
        if (decoded := _strictly(data, encoding)) is not None
    ]
    score, best = max(candidates, default=(0.0, None), key=lambda pair: pair[0])
    return best if score > 0.5 else None


def _is_western(data: bytes) -> bool:
    """Whether this is English in Windows-1252: three letters or more to each sign that is no ASCII,
    and nearly all of those where such text has them. As GB18030 it would be plausible too, with a
    rare character here and there (It抯)."""
    other = len(data.translate(None, _ASCII))
    letters = len(data) - len(data.translate(None, _LETTERS))
    if b"\0" in data or not other or letters < 3 * other:
        return False
    return sum(len(found[0]) for found in _WESTERN.finditer(data)) >= 0.8 * other


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
