"""Question → the passages most likely to answer it: dense and lexical, fused, and weighed once more
by their sentences."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from xhqa.dictionary import Alternatives, Translator
from xhqa.encode import Encoder, Vectors
from xhqa.errors import BusyError
from xhqa.index import Index
from xhqa.lexical import query_tokens
from xhqa.script import question_script
from xhqa.store import highest
from xhqa.types import Hit, Side

# What a passage that holds all of the question's words gains in being chosen, in units of cosine.
# Chosen on the validation halves of CMRC 2018 and XQuAD (docs/quality.md).
LEXICAL_WEIGHT = 0.2
# The same for a question whose words were translated (chosen on XQuAD alone).
TRANSLATED_WEIGHT = 0.1
# The part of its language's mean that is taken from a question's vector (chosen likewise).
MEAN_SHARE = 0.5
_CANDIDATES = 100
# Of how many the sentences are looked at, or k if that is more: with 10 less is found, with 30 the
# same.
_WEIGHED = 20
_VECTORS_KEPT = 1024
_TRIES = 5


class Retriever:
    """Finds passages for questions, in whatever index; safe to use from several threads.

    All questions are folded. ``translator`` gives what may stand for the words of those that are
    not in Chinese.
    """

    def __init__(self, encoder: Encoder, translator: Translator) -> None:
        self._encoder = encoder
        self._translator = translator
        self._vectors: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = threading.Lock()

    def find(
        self, index: Index, question: str, k: int, among: Sequence[str] | None = None
    ) -> list[Hit]:
        """The best ``k`` chunks, best first; see ``retrieve``.

        Raises BusyError where again and again what was found is taken away before it is read.
        """
        vector = self.vector(index, question)
        translated = [] if question_script(question) == "han" else self.words(question)
        for _ in range(_TRIES - 1):
            try:
                return retrieve(index, question, vector, k, among, translated)
            except BusyError:
                continue
        return retrieve(index, question, vector, k, among, translated)

    def words(self, question: str) -> list[Alternatives]:
        """The words of a question, each with what may stand for it and the trust in that."""
        tokens = query_tokens(question)
        if question_script(question) == "han":
            return [{token: 1.0} for token in tokens]
        return self._translator.alternatives(tokens)

    def vector(self, index: Index, question: str) -> Vectors:
        """The centred vector float32[d] of a question, embedded once while it is among the last
        ones used."""
        with self._lock:
            vector = self._vectors.get(question)
        if vector is None:
            (vector,) = self._encoder.encode_queries([question])
        with self._lock:
            self._vectors[question] = vector
            self._vectors.move_to_end(question)
            while len(self._vectors) > _VECTORS_KEPT:
                self._vectors.popitem(last=False)
        return centred(index, question, vector)


def centred(
    index: Index, question: str, vector: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """The question's vector float32[d] less a part of what all questions in its script share."""
    mean = index.question_means[question_script(question)]
    return vector - np.float32(MEAN_SHARE) * mean


def retrieve(
    index: Index,
    question: str,
    vector: npt.NDArray[np.float32],
    k: int,
    among: Sequence[str] | None = None,
    translated: Sequence[Mapping[str, float]] = (),
) -> list[Hit]:
    """The best ``k`` chunks for a question and its centred vector float32[d], best first.

    Chosen by inner product + LEXICAL_WEIGHT · share + TRANSLATED_WEIGHT · translated share. The
    share is BM25 over the most that the question's words could give in this corpus, so that words
    the corpus does not know give nothing; the translated one is that of ``translated``: for each
    word what may stand for it, with the trust in each. The score is the mean of that and of the
    inner product with the chunk's nearest sentence: what answers may be a small part of it.
    ``among`` limits the search to these documents.
    """
    if among is not None and not among:
        return []
    weights = LEXICAL_WEIGHT, TRANSLATED_WEIGHT
    count = max(k, _CANDIDATES)
    found = index.candidates(vector, query_tokens(question), translated, weights, count, among)
    fused = (
        found.dense
        + found.direct * np.float32(LEXICAL_WEIGHT)
        + found.translated * np.float32(TRANSLATED_WEIGHT)
    )
    first = highest(fused, max(k, _WEIGHED))
    nearest = index.nearest_sentences([found.places[n] for n in first], vector)
    scores = (fused[first] + nearest) / 2
    order = highest(scores, k)
    sides: tuple[tuple[Side, npt.NDArray[np.bool_]], ...] = (
        ("dense", found.near),
        ("lexical", found.matching),
    )
    return [
        Hit(
            chunk=index.chunk(found.places[n]),
            score=float(score),
            dense=float(found.dense[n]),
            lexical=float(max(found.direct[n], found.translated[n])),
            found_by=tuple(side for side, there in sides if there[n]),
        )
        for n, score in zip(first[order], scores[order], strict=True)
    ]
