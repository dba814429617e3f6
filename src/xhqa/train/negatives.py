"""Training examples → questions that their passage does not answer, and an epoch of all.

Everything is drawn from a ``random.Random`` handed in, so an epoch is a function of its seed.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from xhqa.script import question_script
from xhqa.segment import segmenter, tagged
from xhqa.train.cloze import asked_of_number
from xhqa.train.examples import Example, sentence_starts

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_ORDINAL = re.compile(r"第[一二三四五六七八九十百]+")
_ENGLISH_NAME = re.compile(r"(?<=\s)[A-Z][a-z]{2,}(?:\s[A-Z][a-z]{2,})*")
_NAME_TAGS = frozenset({"nr", "nrt", "nrfg", "ns", "nt", "nz"})
_THING_TAGS = frozenset({"n", "vn"})
# What a question says of a thing: not what it asks about.
_CONTENT_TAGS = _THING_TAGS | {"v", "a", "an", "j", "l", "i", "t"}

# A quantity that is asked for, in Chinese and in English, and the words without which a passage
# does not state it.
_QUANTITIES = (
    ("户居民", "households", "户", "household"),
    ("名员工", "employees", "员工", "职工", "employee", "staff"),
    ("名学生", "students", "学生", "student", "pupil"),
    ("钱", "dollars", "元", "钱", "块", "镑", "币", "dollar", "$", "£", "€"),
    ("米", "metres", "米", "metre", "meter", "feet", "foot", "km"),
    ("吨", "tons", "吨", "ton"),
    ("公顷土地", "hectares", "公顷", "亩", "hectare", "acre"),
    ("小时", "hours", "小时", "时", "分钟", "hour", "minute"),
    ("层", "storeys", "层", "楼", "store", "floor"),
    ("岁", "years old", "岁", "年", "age", "year"),
    ("辆车", "vehicles", "车", "vehicle", "car"),
    ("种语言", "languages", "语", "language"),
    ("所学校", "schools", "校", "学院", "school", "college"),
    ("张床位", "beds", "床", "bed"),
    ("座桥", "bridges", "桥", "bridge"),
    ("度", "degrees", "度", "℃", "degree", "°"),
    ("票", "votes", "票", "vote"),
    ("个国家", "countries", "国", "countr", "nation"),
)
# How often a made question is also asked after a quantity that is not stated.
_TWIN = 0.3
_HOW_MANY_HAN = re.compile(r"(多少|几)")
_COUNTED_TAGS = _THING_TAGS | _NAME_TAGS | {"q", "m", "mq"}
_HOW_MANY_ENGLISH = re.compile(r"\b(how (?:many|much)) (\w+)", re.IGNORECASE)


class NegativeMaker:
    """Makes questions that their passage does not answer out of ones that it does."""

    def __init__(self, examples: Sequence[Example], neighbours: dict[str, list[str]]) -> None:
        """``neighbours``: example id → passages retrieved for it that do not hold its answer."""

        self._neighbours = neighbours
        self._names: dict[str, list[tuple[str, str]]] = {}
        self._things: set[str] = set()
        self._about: dict[str, list[tuple[Example, str]]] = defaultdict(list)
        pools: dict[str, set[str]] = defaultdict(set)
        for example in examples:
            found = [
                (word, flag)
                for word, flag in tagged(example.question)
                if flag in _NAME_TAGS | _THING_TAGS and len(word) >= 2
            ]
            found += [(match.group(), "en") for match in _ENGLISH_NAME.finditer(example.question)]
            self._names[example.id] = found
            for word, flag in found:
                pools[flag].add(word)
                if flag in _THING_TAGS:
                    self._things.add(word)
                elif flag in _NAME_TAGS and example.answer:
                    self._about[flag].append((example, word))
        self._pools = {flag: sorted(words) for flag, words in pools.items()}

    def swapped(self, example: Example, rng: random.Random) -> Example | None:
        """The question with a number, ordinal, name or thing swapped for another of its kind."""
        question, passage = example.question, example.passage
        changes: list[tuple[str, str]] = []
        for match in _NUMBER.finditer(question):
            number = match.group()
            if number in passage:
                changes.append((number, _other_number(number, rng)))
        for match in _ORDINAL.finditer(question):
            if match.group() in passage:
                changes.append((match.group(), "第" + rng.choice("一二三四五六七八九十")))
        for word, flag in self._names[example.id]:
            if word in passage or flag == "en":
                changes.append((word, _another(self._pools[flag], word, rng)))
        rng.shuffle(changes)
        # A thing only where there is nothing more definite: "公司" may stand for "企业".
        changes.sort(key=lambda change: change[0] in self._things)
        for old, new in changes:
            if new not in passage and new not in question and old not in new:
                return replace(
                    example,
                    id=example.id + "#swap",
                    question=question.replace(old, new),
                    answer=None,
                    kind="swapped",
                )
        return None

    def measured(self, example: Example, rng: random.Random) -> Example | None:
        """A question after a number asked after a quantity that its passage does not state."""
        question, passage = example.question, example.passage.lower()
        asked = _HOW_MANY_HAN.search(question) or _HOW_MANY_ENGLISH.search(question)
        if asked is None:
            return None
        chinese, english, *words = rng.choice(_QUANTITIES)
        if any(word in passage or word in question.lower() for word in words):
            return None
        new = asked[1] + chinese
        rest = question[asked.end() :]
        if asked.re is _HOW_MANY_ENGLISH:
            new = f"{asked[1][:3]} many {english}"
        else:
            counted = itertools.takewhile(lambda pair: pair[1] in _COUNTED_TAGS, tagged(rest))
            rest = rest[sum(len(word) for word, _ in counted) :]
        return replace(
            example,
            id=example.id + "#measure",
            question=question[: asked.start()] + new + rest,
            answer=None,
            kind="measured",
        )

    def transplanted(self, example: Example, rng: random.Random) -> Example | None:
        """What was asked about a name elsewhere, asked about one in this passage, which does not
        hold most of the words that it is asked in."""
        named = [
            (word, flag)
            for word, flag in self._names[example.id]
            if flag in self._about and word in example.passage
        ]
        if not named:
            return None
        name, flag = rng.choice(named)
        other, replaced = rng.choice(self._about[flag])
        assert other.answer is not None
        question = other.question.replace(replaced, name)
        content = [
            word
            for word, tag in tagged(other.question)
            if len(word) > 1 and tag in _CONTENT_TAGS and word not in replaced
        ]
        strange = sum(word not in example.passage for word in content)
        answered = other.passage[slice(*other.answer)] in example.passage
        if replaced == name or answered or 2 * strange <= len(content):
            return None
        return replace(
            example,
            id=example.id + "#transplant",
            question=question,
            answer=None,
            kind="transplanted",
        )

    def dated(self, example: Example, rng: random.Random) -> Example | None:
        """A question without a year asked of one that its passage does not speak of."""
        if _NUMBER.search(example.question):
            return None
        year = str(rng.randint(1950, 2024))
        if year in example.passage:
            return None
        question = (
            f"{year}年，{example.question}"
            if question_script(example.question) == "han"
            else f"In {year}, {example.question[:1].lower()}{example.question[1:]}"
        )
        return replace(
            example, id=example.id + "#year", question=question, answer=None, kind="dated"
        )

    def retrieved(self, example: Example, rng: random.Random) -> Example | None:
        """The question on a passage that was found for it and does not hold its answer."""
        passages = self._neighbours.get(example.id)
        if not passages:
            return None
        return replace(
            example,
            id=example.id + "#other",
            passage=rng.choice(passages),
            answer=None,
            kind="retrieved",
        )

    def without_answer_sentence(self, example: Example, rng: random.Random) -> Example | None:
        """The passage less every sentence that holds the answer's words."""
        assert example.answer is not None
        start, end = example.answer
        answer = example.passage[start:end]
        bounds = [*sentence_starts(example.passage), len(example.passage)]
        kept = "".join(
            example.passage[a:b] for a, b in itertools.pairwise(bounds) if b <= start or a >= end
        )
        if answer in kept or len(kept) < 60:
            return None
        return replace(
            example, id=example.id + "#cut", passage=kept, answer=None, kind="sentence removed"
        )


def _another(words: Sequence[str], word: str, rng: random.Random) -> str:
    """One of ``words`` other than ``word``, if there is any; they hold it and do not repeat."""
    chosen = rng.randrange(len(words))
    return words[chosen - 1] if words[chosen] == word else words[chosen]


def _other_number(number: str, rng: random.Random) -> str:
    if len(number) == 4 and number.isdigit() and number[:2] in ("17", "18", "19", "20"):
        return str(int(number) + rng.choice([-1, 1]) * rng.randint(1, 15))
    if "." in number:
        return f"{rng.uniform(0.1, 99):.{len(number.split('.')[1])}f}"
    return str(rng.randint(1, 10 ** len(number) - 1))


def retrieve_neighbours(examples: Sequence[Example], k: int = 4) -> dict[str, list[str]]:
    """BM25: for each answerable example up to ``k`` other passages without its answer's words."""
    import bm25s

    cut = segmenter().lcut_for_search
    passages = sorted({example.passage for example in examples})
    index = bm25s.BM25()
    index.index([cut(p) for p in passages], show_progress=False)
    answerable = list({e.id: e for e in examples if e.answer is not None}.values())
    queries = [cut(example.question) for example in answerable]
    found, _ = index.retrieve(queries, k=min(k + 3, len(passages)), show_progress=False)
    neighbours = {}
    for example, row in zip(answerable, found, strict=True):
        assert example.answer is not None
        answer = example.passage[slice(*example.answer)]
        others = [passages[i] for i in row if answer not in passages[i]]
        neighbours[example.id] = [p for p in others if p != example.passage][:k]
    return neighbours


def epoch_examples(
    examples: Sequence[Example],
    negatives: NegativeMaker,
    rng: random.Random,
    *,
    keep_unanswerable: float = 0.5,
    swapped: float = 0.2,
    dated: float = 0.02,
    retrieved: float = 0.05,
    removed: float = 0.03,
    transplanted: float = 0.1,
    measured: float = 0.7,
    numbers: float = 0.1,
) -> Iterable[Example]:
    """One epoch in random order: every answerable example, a fresh draw of negatives and of
    questions after numbers.

    ``measured`` is the share of the questions after a number, the others are of all answerable
    ones. ``numbers`` is how often one more is tried after a number that the passage states.
    """
    makers = (
        (swapped, negatives.swapped),
        (dated, negatives.dated),
        (retrieved, negatives.retrieved),
        (removed, negatives.without_answer_sentence),
        (transplanted, negatives.transplanted),
    )
    order = list(range(len(examples)))
    rng.shuffle(order)
    for number in order:
        example = examples[number]
        if example.answer is None:
            if rng.random() < keep_unanswerable:
                yield example
            continue
        yield example
        if rng.random() < measured and (made := negatives.measured(example, rng)):
            yield made
        if rng.random() < numbers and (made := asked_of_number(example, rng)):
            yield made
            if rng.random() < _TWIN and (twin := negatives.measured(made, rng)):
                yield twin
        draw = rng.random()
        for share, make in makers:
            if draw < share:
                if made := make(example, rng):
                    yield made
                break
            draw -= share
