"""SQuAD-style files → training examples, with negatives made from them.

Everything is drawn from a ``random.Random`` handed in, so an epoch is a function of its seed.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xhqa.errors import InputError
from xhqa.script import question_script
from xhqa.segment import segmenter, tagged

_SENTENCE_END = re.compile(r"[。！？!?；;\n]+[”’」』\"）)]*|(?<=[a-z0-9)])\.(?=\s)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_ORDINAL = re.compile(r"第[一二三四五六七八九十百]+")
_ENGLISH_NAME = re.compile(r"(?<=\s)[A-Z][a-z]{2,}(?:\s[A-Z][a-z]{2,})*")
_NAME_TAGS = frozenset({"nr", "nrt", "nrfg", "ns", "nt", "nz"})
_THING_TAGS = frozenset({"n", "vn"})


@dataclass(frozen=True, slots=True)
class Example:
    """A question on a passage. ``answer`` is a half-open range of the passage, None without one."""

    id: str
    question: str
    passage: str
    answer: tuple[int, int] | None
    kind: str = "given"


def locate(passage: str, text: str, start: int) -> tuple[int, int] | None:
    """Where ``text`` stands: at ``start`` if the slice matches, otherwise at the nearest match."""
    if not text:
        return None
    places = [match.start() for match in re.finditer(re.escape(text), passage)]
    if not places:
        return None
    best = min(places, key=lambda place: abs(place - max(start, 0)))
    return best, best + len(text)


def read_squad(path: Path) -> list[Example]:
    """All questions of a SQuAD-style file; answers that are not in their passage are left out."""
    try:
        data = json.loads(path.read_text("utf-8"))["data"]
        examples = []
        for article in data:
            for paragraph in article["paragraphs"]:
                passage = paragraph["context"]
                for qa in paragraph["qas"]:
                    answers = [a for a in qa.get("answers", []) if a["text"]]
                    where = (
                        locate(passage, answers[0]["text"], answers[0]["answer_start"])
                        if answers
                        else None
                    )
                    if answers and where is None:
                        continue
                    examples.append(
                        Example(f"{path.stem}:{qa['id']}", qa["question"].strip(), passage, where)
                    )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a SQuAD-style JSON file: {error!r}") from error
    return examples


def cross_lingual(first: Sequence[Example], second: Sequence[Example]) -> list[Example]:
    """Questions of ``first`` on the passages of ``second`` (parallel files, same order)."""
    if len(first) != len(second):
        raise InputError(f"not parallel: {len(first)} and {len(second)} questions")
    return [
        replace(b, id=f"{a.id}@{b.id}", question=a.question)
        for a, b in zip(first, second, strict=True)
    ]


def sentence_starts(text: str) -> list[int]:
    """Offsets at which sentences of ``text`` start; the first is 0."""
    return [0, *(match.end() for match in _SENTENCE_END.finditer(text) if match.end() < len(text))]


class NegativeMaker:
    """Makes questions that their passage does not answer out of ones that it does."""

    def __init__(self, examples: Sequence[Example], neighbours: dict[str, list[str]]) -> None:
        """``neighbours``: example id → passages retrieved for it that do not hold its answer."""

        self._neighbours = neighbours
        self._names: dict[str, list[tuple[str, str]]] = {}
        self._things: set[str] = set()
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
    if len(number) == 4 and number[:2] in ("17", "18", "19", "20"):
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
    swapped: float = 0.22,
    dated: float = 0.03,
    retrieved: float = 0.06,
    removed: float = 0.04,
    rephrase: Callable[[str, random.Random], str] = lambda question, rng: question,
) -> Iterable[Example]:
    """One epoch in random order: every answerable example and a fresh draw of negatives.

    ``rephrase`` puts their questions into other words.
    """
    order = list(range(len(examples)))
    rng.shuffle(order)
    for number in order:
        example = examples[number]
        if example.answer is None:
            if rng.random() < keep_unanswerable:
                yield replace(example, question=rephrase(example.question, rng))
            continue
        yield replace(example, question=rephrase(example.question, rng))
        draw = rng.random()
        made = None
        if draw < swapped:
            made = negatives.swapped(example, rng)
        elif draw < swapped + dated:
            made = negatives.dated(example, rng)
        elif draw < swapped + dated + retrieved:
            made = negatives.retrieved(example, rng)
        elif draw < swapped + dated + retrieved + removed:
            made = negatives.without_answer_sentence(example, rng)
        if made is not None:
            yield replace(made, question=rephrase(made.question, rng))
