"""The lexical side: jieba tokens and BM25 (bm25s), scaled to the share of a query's words."""

from __future__ import annotations

import array
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xhqa.script import ENGLISH_FUNCTION_WORDS, fold
from xhqa.segment import segmenter

_WORD = re.compile(r"\w", re.UNICODE)

# Words that ask rather than name: they say nothing about which passage answers.
_ASKING = ENGLISH_FUNCTION_WORDS | frozenset(
    re.findall(
        r"\S+",
        """
        的 了 是 在 有 和 与 吗 呢 啊 吧 什么 哪 哪些 哪里 哪个 哪一 哪一个 哪儿 谁 多少 几 几个
        怎么 怎样 如何 为 为什么 何 何时 何地 是否 请问 被 把 之 其
        """,
    )
)


def tokenize(text: str) -> list[str]:
    """Search-mode jieba tokens, folded and lower-cased; punctuation left out."""
    words = segmenter().lcut_for_search(fold(text).lower())
    return [word for word in words if _WORD.match(word)]


@lru_cache(maxsize=256)
def query_tokens(text: str) -> tuple[str, ...]:
    """The distinct tokens of a question that name something; all of them where none does."""
    tokens = tuple(dict.fromkeys(tokenize(text)))
    return tuple(token for token in tokens if token not in _ASKING) or tokens


@lru_cache(maxsize=2048)
def _words(text: str) -> frozenset[str]:
    """The words of a sentence: the same passages are found again and again."""
    return frozenset(tokenize(text))


@lru_cache(maxsize=2048)
def _letters(text: str) -> str:
    return fold(text).lower()


def overlap(
    words: Sequence[Mapping[str, float]],
    weights: npt.NDArray[np.float32],
    texts: Sequence[str],
) -> npt.NDArray[np.float32]:
    """float32[len(texts)]: the share of ``words``, by their ``weights``, that each text holds.

    A word is held by the most trusted of its alternatives that is there.
    """
    shares = np.zeros(len(texts), np.float32)
    if not words or weights.sum() <= 0:
        return shares
    for number, text in enumerate(texts):
        # Taking a text apart takes long, and is in vain where it does not even hold the letters.
        letters = _letters(text)
        if not any(t in letters for w in words for t in w):
            continue
        there = _words(text)
        held = [max((trust for t, trust in w.items() if t in there), default=0.0) for w in words]
        shares[number] = np.array(held, np.float32) @ weights / weights.sum()
    return shares


class LexicalIndex:
    """BM25 over token lists, one a passage."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._vocabulary: dict[str, int] = engine.vocab_dict
        self._count = int(engine.scores["num_docs"])
        self._frequencies = np.diff(engine.scores["indptr"])

    @classmethod
    def build(cls, tokens: Iterable[Sequence[str]]) -> LexicalIndex:
        """Index token lists, one a passage, read once; a corpus without any token is given one
        that nothing matches. Takes 4 bytes of memory for each token and some 40 for each
        different one of a passage."""
        import bm25s

        numbers: dict[str, int] = {}
        corpus = _Rows()
        for row in tokens:
            corpus.append([numbers.setdefault(token, len(numbers)) for token in row])
        if not numbers:
            numbers["\0"] = 0
            corpus = _Rows([0] for _ in range(max(1, len(corpus))))
        engine = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
        engine.vocab_dict = numbers
        engine.scores = engine.build_index_from_ids(
            list(numbers.values()), corpus, show_progress=False
        )
        return cls(engine)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._engine.save(folder, show_progress=False)

    @classmethod
    def load(cls, folder: Path) -> LexicalIndex:
        import bm25s

        return cls(bm25s.BM25.load(folder, mmap=True, show_progress=False))

    def idf(self, token: str) -> float:
        """Inverse document frequency as in Lucene: ln(1 + (N - df + 0.5) / (df + 0.5))."""
        number = self._vocabulary.get(token)
        return self._idf(0 if number is None else int(self._frequencies[number]))

    def idfs(self, tokens: Iterable[str]) -> dict[str, float]:
        return {token: self.idf(token) for token in tokens}

    def _idf(self, frequency: int) -> float:
        return math.log1p((self._count - frequency + 0.5) / (frequency + 0.5))

    def shares(self, tokens: Sequence[str]) -> npt.NDArray[np.float32]:
        """For every passage its BM25 score over the most that these tokens could give.

        float32[n] in [0, 1]. Words that no passage holds count towards the most, so a question in
        another language gets shares near 0 instead of a ranking by its few chance matches.
        """
        most = sum(self.idf(token) for token in tokens)
        scores = np.zeros(self._count, np.float32)
        if most > 0:
            for token in tokens:
                there, weights = self._passages(token)
                scores[there] += weights
            scores *= np.float32(1 / most)
        return scores

    def alternative_shares(self, words: Sequence[Mapping[str, float]]) -> npt.NDArray[np.float32]:
        """For every passage the idf-weighted share float32[n] of ``words`` that it holds.

        Each word is given by its alternatives and the trust in each: it is held by the best one
        there, and its frequency is that of passages with any (Pirkola 1998, "structured queries").
        """
        total, shares = 0.0, np.zeros(self._count, np.float32)
        for alternatives in words:
            there, trust = self._held(alternatives)
            weight = self._idf(len(there))
            total += weight
            shares[there] += np.float32(weight) * trust
        if total:
            shares *= np.float32(1 / total)
        return shares

    def word_weights(self, words: Sequence[Mapping[str, float]]) -> npt.NDArray[np.float32]:
        """float32[len(words)]: the inverse frequency of passages with any alternative of each."""
        return np.array([self._idf(len(self._held(word)[0])) for word in words], np.float32)

    def _held(self, alternatives: Mapping[str, float]) -> _Weighted:
        """The passages with any alternative, ascending, and the trust in the best one there."""
        found = [
            (there, np.full(len(there), trust, np.float32))
            for token, trust in alternatives.items()
            for there, _ in [self._passages(token)]
        ]
        if len(found) == 1:
            return found[0]
        if not found:
            return _NOWHERE
        there, places = np.unique(np.concatenate([t for t, _ in found]), return_inverse=True)
        best = np.zeros(len(there), np.float32)
        np.maximum.at(best, places, np.concatenate([trust for _, trust in found]))
        return there, best

    def _passages(self, token: str) -> _Weighted:
        """The passages that hold a token, ascending, and its BM25 score in each."""
        number = self._vocabulary.get(token)
        if number is None:
            return _NOWHERE
        scores = self._engine.scores
        postings = slice(scores["indptr"][number], scores["indptr"][number + 1])
        return np.asarray(scores["indices"][postings]), np.asarray(scores["data"][postings])


_Weighted = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
_NOWHERE: _Weighted = np.empty(0, np.int32), np.empty(0, np.float32)


class _Rows:
    """Rows of numbers in one array: a fraction of what lists of lists take."""

    def __init__(self, rows: Iterable[Sequence[int]] = ()) -> None:
        self._flat = array.array("i")
        self._ends = array.array("q")
        for row in rows:
            self.append(row)

    def append(self, row: Sequence[int]) -> None:
        self._flat.extend(row)
        self._ends.append(len(self._flat))

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[list[int]]:
        start = 0
        for end in self._ends:
            yield self._flat[start:end].tolist()
            start = end
