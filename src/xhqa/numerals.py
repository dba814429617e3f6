"""The numbers that a text states, however they are written: 10万, 100,000, 十万."""

from __future__ import annotations

import re
from functools import lru_cache

_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"万": 1e4, "亿": 1e8}
_WORDS = {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_ARABIC = re.compile(
    r"(?P<digits>\d{1,3}(?:,\d{3})++(?!\d)(?:\.\d++)?|\d++(?:\.\d++)?)\s?[余多几]?"
    rf"(?:(?P<scale>(?:[十百万亿]|千(?![克米瓦卡帕]))++)|(?P<word>{'|'.join(_WORDS)})\b)?(?P<tenths>成)?"
)
_CHINESE = re.compile(r"(?P<numeral>[零〇一二两三四五六七八九十百千万亿]++)(?P<tenths>成)?")
# A decade is the same with and without its century: 20世纪70年代, 1970年代, the 1970s.
_CENTURY = re.compile(
    r"(?:(?:20|二十|上个?)世纪|19)(?=(?:\d|[二三四五六七八九])[0十]年代)|19(?=\d0s\b)"
)
# 9:00 is 9点.
_O_CLOCK = re.compile(r"(?<=\d)[:：]00(?![\d:：])")


def numbers(text: str) -> tuple[float, ...]:
    """The numbers written with digits in folded lower-case ``text``, to three decimals."""
    return tuple(_rounded(value) for _, value in _amounts(_CENTURY.sub("", text)))


@lru_cache(maxsize=1024)
def stated(text: str) -> frozenset[float]:
    """All numbers in folded lower-case ``text``, in any reading: 2024.5 may be a month."""
    text = _CENTURY.sub("", text)
    found: set[float] = set()
    for match, value in _amounts(text):
        found.add(value)
        if not match["scale"]:
            found |= {float(part) for part in match["digits"].replace(",", "").split(".")}
        if match["tenths"]:
            found.add(10 * value)
    for match in _CHINESE.finditer(_ARABIC.sub(" ", text)):
        value = _chinese(match["numeral"])
        found |= {value, 10 * value} if match["tenths"] else {value}
    return frozenset(map(_rounded, found))


def _amounts(text: str) -> list[tuple[re.Match[str], float]]:
    """The numbers in digits, those that are one amount as one: 3万5千."""
    found: list[tuple[re.Match[str], float]] = []
    # The scale of the last one.
    scale = 1.0
    for match in _ARABIC.finditer(_O_CLOCK.sub("", text)):
        value = _arabic(match)
        if found and scale > value >= 1 and found[-1][0].end() == match.start():
            found[-1] = match, found[-1][1] + value
        else:
            found.append((match, value))
        scale = _chinese(match["scale"]) if match["scale"] else 1.0
    return found


def _rounded(value: float) -> float:
    return round(value, 3)


def _arabic(match: re.Match[str]) -> float:
    scale = _chinese(match["scale"]) if match["scale"] else _WORDS.get(match["word"], 1.0)
    return float(match["digits"].replace(",", "")) * scale


def _chinese(numeral: str) -> float:
    """一九九八, which is read digit by digit, or 一千九百九十八."""
    if all(char in _DIGITS for char in numeral):
        return float("".join(str(_DIGITS[char]) for char in numeral))
    total = section = digit = 0.0
    for char in numeral:
        if char in _DIGITS:
            digit = _DIGITS[char]
        elif char in _TENS:
            section += (digit or 1) * _TENS[char]
            digit = 0
        else:
            scale = _MYRIADS[char]
            part = section + digit
            total = total + part * scale if total >= scale else (total + part or 1) * scale
            section = digit = 0
    return total + section + digit
