"""What an encoder is, and the vector of a part of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Parts = Sequence[tuple[int, int]]


class Encoder(Protocol):
    """``name`` and ``fingerprint`` tell one model from another; ``dimension`` is that of its
    vectors, ``max_tokens`` the length beyond which it cuts a text off."""

    name: str
    fingerprint: str
    dimension: int
    max_tokens: int

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """float32[len(texts), dimension], each of unit length."""

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """float32[len(texts), dimension], each of unit length."""

    def encode_parts(
        self, texts: Sequence[str], parts: Sequence[Parts]
    ) -> tuple[Vectors, list[Vectors]]:
        """The vectors of ``texts`` as ``encode_passages`` gives them, and of the ``parts`` of each,
        half-open character ranges, float32[len(parts), dimension]: what each part says by itself
        and, where the model can tell, what it says in its text."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The number of model tokens of each text, without special tokens."""


def parts_of(texts: Sequence[str], parts: Sequence[Parts]) -> list[str]:
    """All parts of all texts, one after the other."""
    return [text[a:b] for text, ranges in zip(texts, parts, strict=True) for a, b in ranges]


def by_text(alone: Vectors, parts: Sequence[Parts]) -> list[Vectors]:
    """The vectors of ``parts_of``, text by text."""
    bounds = np.cumsum([len(ranges) for ranges in parts])[:-1]
    return np.split(alone, bounds) if parts else []


def add_context(own: Vectors, parts: Parts, tokens: Vectors, ends: Sequence[int]) -> None:
    """Turn the vectors of one text's parts into the mean of themselves and of the unit mean of
    their tokens' vectors as they are in the whole text (Günther et al. 2024, "Late Chunking"), in
    place. A part without tokens, where the text is cut off before it, keeps its own.

    ``tokens`` is float32[t, dimension], ``ends`` where each token ends in the text.
    """
    # By their last character: a token may begin with the space before it.
    last = np.array(ends)
    for number, (a, b) in enumerate(parts):
        there = tokens[(last > a) & (last <= b)]
        if len(there):
            mean = there.mean(axis=0)
            own[number] = (own[number] + mean / np.linalg.norm(mean)) / 2
