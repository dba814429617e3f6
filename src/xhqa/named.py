"""What a question names, and whether a text lacks some of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol

from xhqa.numerals import numbers, stated
from xhqa.script import ENGLISH_FUNCTION_WORDS, alphanumeric, fold, question_script
from xhqa.segment import tagged

_LATIN = re.compile(r"[a-z][a-z0-9]+")
_HAN = re.compile(r"[㐀-鿿]{2,}")
_NAME_FLAGS = frozenset({"nr", "nrt", "nrfg", "ns", "nt", "nz"})
_QUOTED = re.compile(
    r"“([^“”]{2,20})”|‘([^‘’]{2,20})’|「([^「」]{2,20})」|『([^『』]{2,20})』|《([^《》]{2,20})》"
    r'|"([^"]{2,20})"'
)
_REMARK = re.compile(r"[（(][^（()）]*[)）]")
# A name that says what kind of place it is of: 静安区. A text may leave that out.
_PLACE = re.compile(
    r"(?P<name>..+?)(?:特别行政区|(?:\w{1,3}族)?自治[区州县旗]|[新特]区|[省市县镇乡村]|"
    r"(?<![地城郊小社校园景厂片街山林牧矿库灾战疫辖])区)"
)
_YEAR = re.compile(r"(?:19|20)\d\d(?=\s?年)")
# 08年, 下午3点: a text may write the century, and count the hours from midnight.
_SHORT_YEAR = re.compile(r"(?<!\d)\d\d(?=年)")
_AFTERNOON = re.compile(r"(?:下午|傍晚|晚上?|夜里)\s?(\d{1,2})(?=[点时:：])")
_LATE = re.compile(r"(?<!\d)(1[3-9]|2[0-3])(?=[点时:：])")
# What is asked of the answer, and what somebody says of himself: a text may speak of 60岁以上.
_OF_ASKER = re.compile(
    r"(?:列[出举]|举出|[说写给]出)\s?\d+|\d+\s?字(?:以内|左右)?|身高\s?[\d.]+|\d+\s?周?岁"
)
# A text that dates itself by these may speak of any year.
_RELATIVE_YEAR = re.compile("[今去前明后本当同]年")
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

    def alternatives(self, words: Iterable[str]) -> list[Mapping[str, float]]:
        """For each word itself and its translations."""


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


class _Number(NamedTuple):
    """The values that a text may state it by, any of which will do."""

    values: frozenset[float]
    definite: bool
    year: bool


def lacking(question: str, text: str, gazetteer: Gazetteer) -> Lacking:
    """``text`` is looked through without its signs and white space, for numbers by their values."""
    named = [
        name
        for name in _names(question)
        if not name.forms <= gazetteer.common
        and (not name.doubtful or name.forms <= gazetteer.names)
    ]
    plain = alphanumeric(text)
    missing = [
        name.definite
        for name in named
        if not any(alphanumeric(form) in plain for form in name.forms)
    ]
    folded = fold(text).lower()
    relative = _RELATIVE_YEAR.search(folded)
    missing += [
        number.definite and not (number.year and relative)
        for number in _numbers(question)
        if number.values.isdisjoint(stated(folded))
    ]
    if question_script(question) == "other":
        for match in _CAPITALISED.finditer(fold(question)):
            word = match.group().lower().replace("’", "'")
            sounds = gazetteer.romanised(word)
            if sounds and not re.search(sounds, plain):
                (others,) = gazetteer.alternatives([word])
                missing += [True] * (not any(alphanumeric(other) in plain for other in others))
    return Lacking(bool(missing), any(missing))


@lru_cache(maxsize=256)
def _names(question: str) -> tuple[_Name, ...]:
    """What a Chinese question names, its words in Latin letters and what it quotes, of another its
    words in Chinese characters.

    What another names otherwise is written otherwise in a Chinese text.
    """
    question = fold(question).lower()
    latin = _LATIN.findall(question)
    # In one of both scripts the words of the language it is asked in are no names.
    english = not ENGLISH_FUNCTION_WORDS.isdisjoint(latin)
    found: dict[str, _Name] = {}
    if question_script(question) != "han":
        words = _HAN.findall(question) if english else []
        return tuple(_Name(frozenset({word}), definite=True) for word in words)
    if not english:
        found |= {word: _Name(frozenset({word}), definite=False) for word in latin}
    words = tagged(question)
    for number, (word, flag) in enumerate(words):
        if flag in _NAME_FLAGS and len(word) > 1:
            place = _PLACE.fullmatch(word)
            forms = frozenset({word, place["name"] if place else word})
            # A text may leave out what the place is in: 上海市徐汇区.
            behind = [pair for pair in words[number + 1 : number + 4] if pair[0] != "的"][:2]
            # 吴江 | 区
            after = ["".join(word for word, _ in behind[:n]) for n in (1, 2)]
            inside = any(flag == "ns" for _, flag in behind[:1]) or any(
                _PLACE.fullmatch(words) for words in after
            )
            definite = bool(place) and not inside
            found[word] = _Name(forms, definite, doubtful=flag == "ns" and len(word) == 2)
    for quoted in map("".join, _QUOTED.findall(question)):
        found[quoted] = _Name(frozenset({quoted}), definite=True)
    return tuple(found.values())


@lru_cache(maxsize=256)
def _numbers(question: str) -> tuple[_Number, ...]:
    """The numbers in digits of a question. One is definite in a question in Chinese, outside of
    brackets, which only explain, and where it is not the asker's own."""
    question = fold(question).lower()
    of_text = _OF_ASKER.sub(" ", _REMARK.sub(" ", question))
    outside = numbers(of_text) if question_script(question) == "han" else ()
    years, short, afternoon, late = (
        {float(number) for number in pattern.findall(question)}
        for pattern in (_YEAR, _SHORT_YEAR, _AFTERNOON, _LATE)
    )
    return tuple(
        _Number(
            frozenset(
                {
                    n,
                    *([1900 + n, 2000 + n] * (n in short)),
                    *([n + 12] * (n in afternoon)),
                    *([n - 12] * (n in late)),
                }
            ),
            n in outside,
            n in years,
        )
        for n in numbers(question)
    )
