"""Sentences that state numbers → questions after one of them.

Which of a passage's numbers belongs to what is asked is what a reader gets wrong most, and few of a
data set's questions teach it. So clauses are made into questions by putting the question's word in
a number's place (Lewis et al. 2019, "Unsupervised Question Answering by Cloze Translation").
"""

from __future__ import annotations

import random
import re
from dataclasses import replace

from xhqa.read.edges import tidy_edges
from xhqa.script import has_han
from xhqa.segment import tagged
from xhqa.train.examples import Example

# 15-20, 3:1, 2008-05-01 are no numbers by themselves.
_DIGITS = re.compile(r"(?<![\d.A-Za-z:：/~～–—×-])\d[\d,.]*(?<=\d)(?![\d:：/~～–—×-])")
_STOP = re.compile(r"[，。；;！!？?：:、\n（）()]|,(?!\d)")
_SCALE = re.compile(r"[\d.,\s余多十百千万亿]+")
_YEAR = re.compile(r"1[0-9]\d\d年|20\d\d年")
# What a question leaves out as easily, adverbs and particles, and what joins a clause on: 而这座.
_LIGHT, _JOINING = frozenset({"d", "ul", "uz", "ug", "y"}), frozenset({"c", "r", "q"})
_CONTENT = frozenset({"n", "vn", "v", "nz", "ns", "nr", "nt", "a", "an", "j", "l"})
# How many Han characters around the number say enough to be asked, and how many signs too much.
_LEAST, _MOST = 6, 40
# Years are half of all numbers, and easily told apart.
_YEARS_KEPT = 0.4


def _stated_numbers(passage: str) -> list[tuple[int, int]]:
    """The ranges of the numbers in ``passage``, each with its unit."""
    found = (tidy_edges(passage, *match.span()) for match in _DIGITS.finditer(passage))
    return [where for where in found if where is not None]


def asked_of_number(example: Example, rng: random.Random) -> Example | None:
    """A question after one of the numbers that the passage states, if it states several."""
    passage = example.passage
    numbers = _stated_numbers(passage)
    if len({passage[slice(*number)] for number in numbers}) < 2:
        return None
    start, end = rng.choice(numbers)
    number = passage[start:end]
    clause = _clause(passage, start, end)
    if clause is None or passage.count(number) > 1:
        return None
    if _YEAR.fullmatch(number) and rng.random() > _YEARS_KEPT:
        return None
    before, after = passage[clause[0] : start], passage[end : clause[1]]
    question = _shortened(before, rng, first=True) + _asking(number, rng) + _shortened(after, rng)
    return replace(
        example,
        id=example.id + "#number",
        question=question + rng.choice(["？", "？", ""]),
        answer=(start, end),
        kind="number",
    )


def _clause(passage: str, start: int, end: int) -> tuple[int, int] | None:
    """The clause around [start, end), with the one before it where it alone says too little."""
    stops = [0, *(match.end() for match in _STOP.finditer(passage, 0, start))]
    after = _STOP.search(passage, end)
    last = after.start() if after else len(passage)
    for first in stops[:-3:-1]:
        if first < stops[-1] and passage[stops[-1] - 1] in "。！!？?\n":
            return None
        around = passage[first:start] + passage[end:last]
        if len(around) > _MOST:
            return None
        if sum(map(has_han, around)) >= _LEAST and not _DIGITS.search(around):
            return first, last
    return None


def _asking(number: str, rng: random.Random) -> str:
    if _YEAR.fullmatch(number):
        return rng.choice(["哪一年", "哪年", "什么时候"])
    if number.endswith("%"):
        return rng.choice(["多少", "百分之多少", "多大比例"])
    unit = _SCALE.sub("", number, count=1)
    few = number.removesuffix(unit).isdecimal() and len(number) - len(unit) == 1
    return rng.choice(["多少", "几"] if few else ["多少"]) + unit


def _shortened(part: str, rng: random.Random, first: bool = False) -> str:
    """``part`` without some of the words that a question may leave out."""
    words = tagged(part)
    while first and words and words[0][1] in _JOINING:
        words = words[1:]
    words = [(word, tag) for word, tag in words if tag not in _LIGHT or rng.random() < 0.5]
    content = [n for n, (word, tag) in enumerate(words) if tag in _CONTENT]
    if len(content) > 3 and rng.random() < 0.5:
        del words[rng.choice(content)]
    return "".join(word for word, _ in words).strip()
