"""What a question names, and whether a text lacks some of it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Protocol

from xhqa.script import fold, question_script
from xhqa.segment import tagged

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LATIN = re.compile(r"[a-z][a-z0-9]+")
_HAN = re.compile(r"[㐀-鿿]{2,}")
_DIGITS = "零一二三四五六七八九"
_NAME_FLAGS = frozenset({"nr", "nrt", "nrfg", "ns", "nt", "nz"})
_QUOTED = re.compile(r"“([^“”]{2,20})”|「([^「」]{2,20})」|『([^『』]{2,20})』|《([^《》]{2,20})》")
# A name that says what kind of place it is of: 静安区. A text may leave that out.
_PLACE = re.compile(r"(?P<name>..+?)(?:新区|[省市县区镇乡村])(?<!地区)")
# With the apostrophe that divides syllables in pinyin, and without the one of a genitive.
_CAPITALISED = re.compile(r"\b[A-Z][a-z]+(?:['’][aeo][a-z]*)?")


class Gazetteer(Protocol):
    @property
    def common(self) -> frozenset[str]:
        """Chinese words that are no names, whatever the tagger takes them for."""

    @property
    def names(self) -> frozenset[str]:
        """Chinese names; there are others."""

    def romanised(self, word: str) -> str | None:
        """A regular expression for what is read as the lower-case ``word``, if that is a Chinese
        name in pinyin."""


class Lacking(NamedTuple):
    """Whether a text lacks a name or number of the question, and whether a definite one: of a
    Chinese question a number, a place of a stated kind or words in quotation marks, of another a
    Chinese name."""

    any: bool
    definite: bool


class _Name(NamedTuple):
    """The ways in which a text may write it, any of which will do."""

    forms: frozenset[str]
    definite: bool
    doubtful: bool = False
    """Of two characters and a place to the tagger, which errs there (惠及): a name only where the
    dictionary has it too."""


def lacking(question: str, text: str, gazetteer: Gazetteer) -> Lacking:
    """``text`` is looked through without its signs and white space."""
    named = [
        name
        for name in _names(question)
        if not name.forms <= gazetteer.common
        and (not name.doubtful or name.forms <= gazetteer.names)
    ]
    bare = _bare(text)
    missing = [
        name.definite for name in named if not any(_bare(form) in bare for form in name.forms)
    ]
    if question_script(question) == "other":
        for match in _CAPITALISED.finditer(fold(question)):
            word = match.group().lower().replace("’", "'")
            sounds = gazetteer.romanised(word)
            if sounds and not (_bare(word) in bare or re.search(sounds, bare)):
                missing.append(True)
    return Lacking(bool(missing), any(missing))


@lru_cache(maxsize=256)
def _names(question: str) -> tuple[_Name, ...]:
    """The numbers of a question; of a Chinese one its names, its words in Latin letters and what it
    quotes, of another its words in Chinese characters.

    What another names otherwise is written otherwise in a Chinese text.
    """
    question = fold(question).lower()
    chinese = question_script(question) == "han"
    # Others write theirs otherwise: 15 million, 1500万.
    found = {word: _Name(_forms(word), definite=chinese) for word in _NUMBER.findall(question)}
    if not chinese:
        found |= {word: _Name(frozenset({word}), definite=True) for word in _HAN.findall(question)}
        return tuple(found.values())
    found |= {word: _Name(frozenset({word}), definite=False) for word in _LATIN.findall(question)}
    for word, flag in tagged(question):
        if flag in _NAME_FLAGS and len(word) > 1:
            place = _PLACE.fullmatch(word)
            forms = frozenset({word, place["name"] if place else word})
            found[word] = _Name(forms, bool(place), doubtful=flag == "ns" and len(word) == 2)
    for quoted in map("".join, _QUOTED.findall(question)):
        found[quoted] = _Name(frozenset({quoted}), definite=True)
    return tuple(found.values())


def _forms(word: str) -> frozenset[str]:
    """A number below a hundred may be written in Chinese numerals: 6, 六."""
    if not re.fullmatch(r"[1-9]\d?", word):
        return frozenset({word})
    tens, ones = divmod(int(word), 10)
    numeral = (_DIGITS[tens] if tens > 1 else "") + ("十" if tens else "")
    numeral += _DIGITS[ones] if ones else ""
    return frozenset({word, numeral, "两" if word == "2" else numeral})


def _bare(text: str) -> str:
    return "".join(filter(str.isalnum, fold(text).lower()))
