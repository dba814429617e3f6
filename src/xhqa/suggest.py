"""Questions for somebody who does not know what to ask, made from the documents' own sentences.

A sentence becomes a question by putting the asking word where its number stands: Chinese asks in
that order, English understands it. A question is suggested only where the product answers it, and
from the very place it was made of.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol, TypeVar

from xhqa.script import fold, has_han
from xhqa.segment import tagged
from xhqa.types import Answer, Chunk, DocumentInfo

T = TypeVar("T")

SHOWN = 4
_TRIES = 20
_DOCUMENTS = 8
# A book has more sentences than a newcomer waits for.
_PASSAGES = 60
# What an answer should be given with to be a good first impression.
_SURE = 0.5

_PAUSE = re.compile(r"(?<!\d)[,.]|[,.](?!\d)|[，；;：:。！？!?…—\n]")
_NUMBER = re.compile(
    r"(?:大?约|近|超过?|逾|共计?)?\s*(?:\d[\d.,]*(?:\s*[万亿千百])*|[一二两三四五六七八九十百千万亿]{2,})[余多]?"
)
_COUNTER = re.compile(
    r"\s*(?:[个家座台户款项所名位条种层张届部件间套辆艘架株棵头只支幅栋平万公]|人|岁|米|吨|天|小时|分钟|元)"
)
_YEAR = re.compile(r"\s*(\d{4})\s*年(?!来|间|以|度)")
_PERCENT = re.compile(r"\s*\d[\d.]*\s*[%％]")
_LEADING = re.compile(r"^(?:目前|眼下|如今|现在|此外|另外|同时|其中|至此|截至目前|[“”\"'‘’《])+")
_POINTING = re.compile(r"^(?:这|那|其|此|该|它|他|她|我|你|今年|去年|当年|当时|同年|本)")
_DEFINED = re.compile(r"^([^是为\s]{2,12})(?:是|是指|指的是)(?!否|不)")
_LENGTH = range(8, 36)

_ENGLISH_YEAR = re.compile(r"\bin (\d{4})\b")
_ENGLISH_COUNT = re.compile(r"\b(\d[\d,.]*\d|\d)(?= [a-z]+s\b)")
_ENGLISH_DEFINED = re.compile(r"^((?:[A-Z][\w-]*)(?: [A-Za-z][\w-]*){0,3}) (is|are) (?:an?|the) ")
_ENGLISH_POINTING = re.compile(
    r"^(?:it|its|this|that|these|those|they|he|she|we|i|you|there|but|and|so|then|however)\b",
    re.IGNORECASE,
)
_ENGLISH_LENGTH = range(20, 110)


@dataclass(frozen=True, slots=True)
class Draft:
    """A question made of a document, and the place its answer should hold or lie in."""

    question: str
    document_id: str
    start_char_index: int
    end_char_index: int

    def is_answered_by(self, answer: Answer) -> bool:
        """Whether the answer stands where the question was made."""
        return any(
            citation.document_id == self.document_id
            and citation.start_char_index < self.end_char_index
            and self.start_char_index < citation.end_char_index
            for citation in answer.citations
        )


def drafts(chunks: Sequence[Chunk]) -> tuple[Draft, ...]:
    """At most one question a sentence, in the order of the text; from passages all over it."""
    found: dict[str, Draft] = {}
    for chunk in sorted(_spread(chunks, _PASSAGES), key=lambda chunk: chunk.start):
        for start, end in chunk.sentences:
            made = next(_questions(chunk.text[start:end]), None)
            if made is not None:
                question, first, last = made
                place = chunk.view.to_source(start + first, start + last)
                found.setdefault(question, Draft(question, chunk.document_id, *place))
    return tuple(found.values())


def _questions(sentence: str) -> Iterator[tuple[str, int, int]]:
    """Questions with the range of ``sentence`` that answers them."""
    if not has_han(sentence):
        yield from _english(sentence)
        return
    if match := _YEAR.match(sentence):
        rest = sentence[match.end() :].lstrip("，, ")
        clause = rest[: pause.start()] if (pause := _PAUSE.search(rest)) else rest
        if not re.search(r"\d", clause) and _begins_well(clause):
            yield f"哪一年{_closed(clause)}？", *match.span(1)
    at = 0
    for end in (*(m.start() for m in _PAUSE.finditer(sentence)), len(sentence)):
        yield from _of_clause(sentence, at, end)
        at = end + 1
    if (match := _DEFINED.match(sentence)) and _is_name(match[1]):
        yield f"{_LEADING.sub('', match[1])}是什么？", 0, len(sentence)


def _of_clause(sentence: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    clause = sentence[start:end]
    numbers = list(_NUMBER.finditer(clause))
    if len(numbers) > 1:
        # 500余家企业、755家工厂: the first of the list can be asked for alone.
        clause = clause.partition("、")[0]
        numbers = list(_NUMBER.finditer(clause))
    if len(numbers) != 1 or not _begins_well(clause):
        return
    (number,) = numbers
    before, after = clause[: number.start()], clause[number.end() :]
    if match := _YEAR.match(clause, number.start()):
        asked, answer = f"{before}哪一年{clause[match.end() :]}", match.span(1)
    elif match := _PERCENT.match(clause, number.start()):
        asked, answer = f"{before}多少{clause[match.end() :]}", match.span()
    elif _COUNTER.match(after) and number.start():
        asked, answer = f"{before}多少{after}", number.span()
    else:
        return
    asked = _closed(asked)
    if len(asked) in _LENGTH:
        yield f"{asked}？", start + answer[0], start + answer[1]


def _begins_well(clause: str) -> bool:
    """Whether a clause names what it is about: it begins with a noun that points at nothing."""
    bare = _LEADING.sub("", clause.strip())
    if len(clause) not in _LENGTH or _POINTING.match(fold(bare)):
        return False
    words = tagged(fold(bare))
    return bool(words) and words[0][1].startswith(("n", "j", "eng", "s", "l", "vn", "a", "b"))


def _is_name(text: str) -> bool:
    return not _POINTING.match(fold(text)) and all(
        flag.startswith(("n", "j", "eng", "vn", "x", "b", "a")) for _, flag in tagged(fold(text))
    )


def _closed(clause: str) -> str:
    """A clause as it may stand alone: without the space around numbers, quotes in pairs."""
    clause = _LEADING.sub(lambda m: "".join(c for c in m[0] if c in "“\"'‘《"), clause.strip())
    clause = re.sub(r"\s+(?=[^\x00-\x7f])|(?<=[^\x00-\x7f])\s+", "", clause)
    for left, right in ("“”", "‘’", "《》", "（）", "()"):
        if clause.count(left) != clause.count(right):
            clause = clause.replace(left, "").replace(right, "")
    return clause if clause.count('"') % 2 == 0 else clause.replace('"', "")


def _english(sentence: str) -> Iterator[tuple[str, int, int]]:
    text = sentence.rstrip(" .!\n")
    if len(text) not in _ENGLISH_LENGTH or "?" in text or _ENGLISH_POINTING.match(text):
        return
    for pattern, asking in ((_ENGLISH_YEAR, "in which year"), (_ENGLISH_COUNT, "how many")):
        matches = list(pattern.finditer(text))
        if len(matches) == 1 and matches[0].start() and text[0].isupper():
            (match,) = matches
            asked = f"{text[: match.start()]}{asking}{text[match.end() :]}"
            yield f"{asked}?", *match.span(1)
    if defined := _ENGLISH_DEFINED.match(text):
        yield f"What {defined[2]} {defined[1]}?", 0, len(text)


class Service(Protocol):
    """What questions are drawn from and tried on; ``xhqa.Pipeline`` has it."""

    def ask(self, question: str, /) -> Answer: ...

    def documents(self) -> tuple[DocumentInfo, ...]: ...

    def drafts(self, document_id: str, /) -> tuple[Draft, ...]: ...


class Examples:
    """Questions that the documents answer, found out once for every state of the index."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._found: tuple[object, tuple[Draft, ...]] | None = None

    def known(self) -> tuple[Draft, ...] | None:
        """The questions where they are known already: never waits."""
        found = self._found
        documents = self._service.documents()
        return found[1] if found is not None and found[0] == documents else None

    def get(self) -> tuple[Draft, ...]:
        """At most ``SHOWN`` questions, each answered just now or since the index last changed."""
        with self._lock:
            documents = self._service.documents()
            if self._found is None or self._found[0] != documents:
                self._found = documents, self._find(documents)
            return self._found[1]

    def _find(self, documents: Sequence[DocumentInfo]) -> tuple[Draft, ...]:
        each = [
            _spread(self._service.drafts(info.id), _TRIES)
            for info in _spread(documents, _DOCUMENTS)
        ]
        # One of every document in turn.
        tried = [draft for row in zip_longest(*each) for draft in row if draft is not None]
        answered: list[tuple[float, Draft]] = []
        for draft in tried[:_TRIES]:
            answer = self._service.ask(draft.question)
            if draft.is_answered_by(answer):
                answered.append((answer.confidence, draft))
            if sum(confidence >= _SURE for confidence, _ in answered) == SHOWN:
                break
        answered.sort(key=lambda entry: -entry[0])
        return tuple(draft for _, draft in answered[:SHOWN])


def _spread(items: Sequence[T], count: int) -> list[T]:
    """Items from all over, in an order that takes distant ones first."""
    step = max(1, -(-len(items) // max(1, count // 4)))
    return [item for offset in range(step) for item in items[offset::step]][:count]
