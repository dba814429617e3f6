"""Examples → token windows, cut at sentence starts, with start and end labels."""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass

from xhqa.tokenizer import BEGIN, END, Tokenizer
from xhqa.train.examples import Example, sentence_starts


@dataclass(frozen=True, slots=True)
class Window:
    """``ids`` with its special tokens. ``start`` and ``end`` index ``ids`` (both 0: no answer).

    Positions before ``passage_start``, but 0, cannot be part of an answer.
    """

    ids: list[int]
    passage_start: int
    start: int
    end: int


def make_window(
    example: Example,
    tokenizer: Tokenizer,
    rng: random.Random,
    *,
    min_tokens: int = 32,
    max_tokens: int = 256,
    max_question_tokens: int = 64,
    miss: float = 0.04,
) -> Window:
    """A random window of the passage that holds the answer whole (but for a share of ``miss``).

    Cutting at random teaches that answers stand anywhere, and is cheaper than whole passages. Each
    doubling of a window's length, from ``min_tokens`` to ``max_tokens``, is as likely as the next:
    what is left of a passage after sifting is short.
    """
    question = tokenizer.encode("query: " + example.question)
    question_ids = question.ids[:max_question_tokens]
    passage = tokenizer.encode(example.passage)
    count = len(passage.ids)
    size = round(min_tokens * (max_tokens / min_tokens) ** rng.random())
    first = last = None
    if example.answer is not None:
        covered = [
            i
            for i, (a, b) in enumerate(passage.offsets)
            if a < example.answer[1] and b > example.answer[0] and b > a
        ]
        if covered:
            first, last = covered[0], covered[-1]
            if last - first + 1 > max_tokens:
                first = last = None
    # The first token may be empty: a bare "▁" in front of the text.
    starts = [0, *(_token_at(passage.offsets, s) for s in sentence_starts(example.passage)[1:])]
    if first is None or last is None:
        low = rng.randint(0, max(0, count - size))
        low = starts[bisect_right(starts, low) - 1]
        return _window(question_ids, passage.ids[low : low + size], None)
    size = max(size, last - first + 1)
    if count > 2 * size and rng.random() < miss:
        options = [s for s in starts if s > last or s + size <= first]
        if options:
            low = rng.choice(options)
            return _window(question_ids, passage.ids[low : low + size], None)
    low = rng.randint(max(0, last - size + 1), max(0, min(first, count - size)))
    low = low if low <= first else first
    snapped = starts[bisect_right(starts, low) - 1]
    if last - snapped + 1 <= max_tokens:
        low = snapped
    high = min(count, max(low + size, last + 1))
    return _window(question_ids, passage.ids[low:high], (first - low, last - low))


def _token_at(offsets: list[tuple[int, int]], char: int) -> int:
    """The first token that reaches past ``char``."""
    low, high = 0, len(offsets)
    while low < high:
        middle = (low + high) // 2
        if offsets[middle][1] <= char:
            low = middle + 1
        else:
            high = middle
    return min(low, len(offsets) - 1)


def _window(question: list[int], passage: list[int], answer: tuple[int, int] | None) -> Window:
    ids = [BEGIN, *question, END, END, *passage, END]
    offset = len(question) + 3
    if answer is None:
        return Window(ids, offset, 0, 0)
    return Window(ids, offset, answer[0] + offset, answer[1] + offset)
