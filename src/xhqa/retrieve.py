"""Question → the passages most likely to answer it: dense and lexical, fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from xhqa.index import Index
from xhqa.lexical import query_tokens
from xhqa.script import question_script
from xhqa.store import highest
from xhqa.types import Hit, Side

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
    by_meaning = index.lexical.alternative_shares(translated) if translated else None
    lexical = direct * np.float32(LEXICAL_WEIGHT)
    if by_meaning is not None:
        lexical += by_meaning * np.float32(TRANSLATED_WEIGHT)
    if among is None:
        holding = np.flatnonzero(lexical)
    else:
        pool = np.asarray(among, np.int64)
        holding = pool[lexical[pool] > 0]
    matching = holding[highest(lexical[holding], count)]
    candidates = np.union1d(near, matching)
    products = index.store.vectors(candidates) @ vector
    scores = products + lexical[candidates]
    shares = direct[candidates]
    if by_meaning is not None:
        shares = np.maximum(shares, by_meaning[candidates])
    sides: tuple[tuple[Side, npt.NDArray[np.bool_]], ...] = (
        ("dense", np.isin(candidates, near)),
        ("lexical", np.isin(candidates, matching)),
    )
    return [
        Hit(
            chunk=index.chunk(int(candidates[n])),
            score=float(scores[n]),
            dense=float(products[n]),
            lexical=float(shares[n]),
            found_by=tuple(side for side, found in sides if found[n]),
        )
        for n in highest(scores, k)
    ]
