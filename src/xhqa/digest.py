"""What a document is about, in its own words: its headings and its most central sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from xhqa.lexical import tokenize
from xhqa.script import CLOSERS, SENTENCE_END
from xhqa.types import Chunk, Citation, Document, OutlineEntry

# A summary that does not fit on the page is none.
T = TypeVar("T")

MAX_SENTENCES = 8
_MAX_LENGTH = 120
_MIN_WORDS = 5


class Weights(Protocol):
    """How much words tell; an index knows."""

    def idfs(self, tokens: Iterable[str]) -> Mapping[str, float]: ...


Place = tuple[Chunk, int, int]


def outline(chunks: Sequence[Chunk]) -> tuple[OutlineEntry, ...]:
    """The headings over a document's chunks, each where its line begins."""
    found: list[OutlineEntry] = []
    before: tuple[str, ...] = ()
    for chunk in chunks:
        path = chunk.section_path
        shared = 0
        while shared < min(len(path), len(before)) and path[shared] == before[shared]:
            shared += 1
        at = 0
        for level in range(shared, len(path)):
            # Headings right under one another open one section together.
            named = chunk.text.find(path[level], at)
            at = max(at, named, 0)
            line = chunk.text.rfind("\n", 0, at) + 1
            start, _ = chunk.view.to_source(line, line + 1)
            found.append(OutlineEntry(path[level], level + 1, start))
        before = path
    return tuple(found)


def summary(
    documents: Sequence[tuple[Document, Sequence[Chunk]]], weights: Weights
) -> tuple[Citation, ...]:
    """The most central sentence of each section of one document, or of each of several documents.

    At most ``MAX_SENTENCES``, in the order of the text. Central is what lies nearest to the
    centroid of its section's sentences as tf·idf vectors (Radev et al. 2004, "Centroid-based
    summarization of multiple documents").
    """
    groups: list[tuple[Document, Sequence[Chunk]]]
    if len(documents) == 1:
        ((document, chunks),) = documents
        groups = [(document, group) for group in _sections(chunks)]
    else:
        groups = [(document, chunks) for document, chunks in documents]
    found = [
        (score, document, place)
        for document, group in groups
        for score, place in _most_central(group, weights)
    ]
    kept = sorted(range(len(found)), key=lambda n: (-found[n][0], n))[:MAX_SENTENCES]
    return tuple(
        _citation(number, *found[n][1:], found[n][0]) for number, n in enumerate(sorted(kept), 1)
    )


def evenly(items: Sequence[T], most: int) -> Sequence[T]:
    """``items``, or ``most`` of them from all over in their order."""
    if len(items) <= most:
        return items
    return [items[number * len(items) // most] for number in range(most)]


def _sections(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """The chunks by section, at the deepest level that has no more than ``MAX_SENTENCES``."""
    depth = max((len(chunk.section_path) for chunk in chunks), default=0)
    for level in range(max(depth, 1), 0, -1):
        groups: dict[tuple[str, ...], list[Chunk]] = {}
        for chunk in chunks:
            groups.setdefault(chunk.section_path[:level], []).append(chunk)
        if len(groups) <= MAX_SENTENCES:
            break
    return list(groups.values())


def _most_central(chunks: Sequence[Chunk], weights: Weights) -> list[tuple[float, Place]]:
    """The best sentence of a group with its cosine; none where the group has no sentence."""
    places: dict[tuple[int, int], Place] = {}
    for chunk in chunks:
        for start, end in chunk.sentences:
            # Chunks overlap by a sentence.
            places.setdefault(chunk.view.to_source(start, end), (chunk, start, end))
    bags = [
        (place, Counter(tokenize(_text(place))))
        for place in places.values()
        if not _is_heading(place)
    ]
    bags = [(place, bag) for place, bag in bags if len(bag) >= _MIN_WORDS]
    # Full sentences of a readable length, where there are any.
    for wanted in (_is_full, _is_short):
        bags = [entry for entry in bags if wanted(entry[0])] or bags
    if not bags:
        return []
    total: Counter[str] = Counter()
    for _, bag in bags:
        total.update(bag)
    idf = weights.idfs(total)
    scores = [_cosine(bag, total, idf) for _, bag in bags]
    best = max(range(len(bags)), key=lambda n: (scores[n], -n))
    return [(scores[best], bags[best][0])]


def _cosine(bag: Counter[str], total: Counter[str], idf: Mapping[str, float]) -> float:
    product = sum(count * total[word] * idf[word] ** 2 for word, count in bag.items())
    lengths = [
        math.sqrt(sum((count * idf[word]) ** 2 for word, count in words.items()))
        for words in (bag, total)
    ]
    return product / (lengths[0] * lengths[1]) if all(lengths) else 0.0


def _text(place: Place) -> str:
    chunk, start, end = place
    return chunk.text[start:end]


def _is_heading(place: Place) -> bool:
    bare = "".join(filter(str.isalnum, _text(place)))
    return any(bare == "".join(filter(str.isalnum, name)) for name in place[0].section_path)


def _is_full(place: Place) -> bool:
    return _text(place).rstrip(CLOSERS)[-1:] in tuple(SENTENCE_END + ".")


def _is_short(place: Place) -> bool:
    return place[2] - place[1] <= _MAX_LENGTH


def _citation(number: int, document: Document, place: Place, score: float) -> Citation:
    chunk, first, last = place
    start, end = chunk.view.to_source(first, last)
    return Citation(
        index=number,
        document_id=document.id,
        document_title=document.title,
        section_path=chunk.section_path,
        page=document.page(start),
        cited_text=document.text[start:end],
        start_char_index=start,
        end_char_index=end,
        context=document.text[start:end],
        context_start_char_index=start,
        score=score,
    )
