"""Question → the passages most likely to answer it: dense and lexical, fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from xhqa.index import Index
from xhqa.lexical import query_tokens
from xhqa.script import question_script
from xhqa.types import Hit

# What a passage that holds all of the question's words gains, in units of cosine. Chosen on the
# validation halves of CMRC 2018 and XQuAD (docs/quality.md).
LEXICAL_WEIGHT = 0.2
# The same for a question whose words were translated (chosen on XQuAD alone).
TRANSLATED_WEIGHT = 0.1
# The part of its language's mean that is taken from a question's vector (chosen likewise).
MEAN_SHARE = 0.5
_CANDIDATES = 100


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
    among: Sequence[int] | None = None,
    translated: Sequence[Mapping[str, float]] = (),
) -> list[Hit]:
    """The best ``k`` chunks for a question and its centred vector float32[d], best first.

    score = inner product + LEXICAL_WEIGHT · share + TRANSLATED_WEIGHT · translated share. The
    share is BM25 over the most that the question's words could give in this corpus, so that words
    the corpus does not know give nothing; the translated one is that of ``translated``: for each
    word what may stand for it, with the trust in each. ``among`` limits the search to these chunk
    positions.
    """
    if len(index) == 0 or (among is not None and not among):
        return []
    count = max(k, _CANDIDATES)
    near, _ = index.store.search(vector, count, among)
    direct = index.lexical.shares(query_tokens(question))
    by_meaning = index.lexical.alternative_shares(translated)
    lexical = LEXICAL_WEIGHT * direct + TRANSLATED_WEIGHT * by_meaning
    pool = np.arange(len(index)) if among is None else np.asarray(among, np.int64)
    matching = pool[np.argsort(-lexical[pool], kind="stable")[:count]]
    candidates = np.union1d(near, matching[lexical[matching] > 0])
    products = index.store.vectors([int(n) for n in candidates]) @ vector
    scores = products + lexical[candidates]
    best = np.argsort(-scores, kind="stable")[:k]
    return [
        Hit(
            chunk=index.chunk(int(candidates[n])),
            score=float(scores[n]),
            dense=float(products[n]),
            lexical=float(max(direct[candidates[n]], by_meaning[candidates[n]])),
        )
        for n in best
    ]
