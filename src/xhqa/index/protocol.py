"""What the stages above need of an index, whatever engine is below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from xhqa.store import Vectors
from xhqa.types import Chunk, Document, DocumentInfo


@dataclass(frozen=True, slots=True)
class Candidates:
    """Passages that may answer. Row n of each array, all of one length, is of ``places[n]``.

    ``dense``: inner product with the question's vector; ``direct`` and ``translated``: the shares
    of its words and of their translations, in [0, 1]; ``near`` and ``matching``: bool, found by
    meaning and by words.
    """

    places: Sequence[Any]
    dense: Vectors
    direct: Vectors
    translated: Vectors
    near: npt.NDArray[np.bool_]
    matching: npt.NDArray[np.bool_]


class Index(Protocol):
    """Safe to use from several threads."""

    # By script, the mean vector float32[d] of ordinary questions.
    question_means: dict[str, Vectors]

    def __len__(self) -> int:
        """The number of chunks."""

    def describe(self) -> str:
        """Where it is and what it holds, in a line."""

    @property
    def document_count(self) -> int:
        """The number of documents."""

    def view(self) -> Index:
        """What one question is answered with: documents stay as they were when passages of them
        were found."""

    def documents(self) -> tuple[DocumentInfo, ...]: ...

    def info(self, document_id: str) -> DocumentInfo:
        """Raises NotFoundError where there is none."""

    def document(self, document_id: str) -> Document:
        """Raises NotFoundError where there is none."""

    def holds(self, document_id: str) -> bool: ...

    def chunks(self, document_id: str) -> list[Chunk]:
        """The chunks of a document, in order."""

    def chunk(self, place: Any) -> Chunk:
        """The chunk at one of the places of ``candidates``."""

    def sentence_vectors(self, chunk: Chunk) -> Vectors:
        """float32[n, d]: the vectors of the chunk's n sentences; their length is at most 1."""

    def nearest_sentences(self, places: Sequence[Any], vector: Vectors) -> Vectors:
        """float32[len(places)]: the highest inner product of ``vector`` float32[d] with a sentence
        of the chunk at each of these places of ``candidates``."""

    def candidates(
        self,
        vector: Vectors,
        tokens: Sequence[str],
        translated: Sequence[Mapping[str, float]],
        weights: tuple[float, float],
        count: int,
        among: Sequence[str] | None = None,
    ) -> Candidates:
        """At least the ``count`` nearest passages to ``vector`` float32[d] and the ``count`` that
        hold most of ``tokens`` and of ``translated`` (for each word what may stand for it, with
        the trust in each), by these two ``weights``; fewer where there are fewer. ``among`` limits
        both to these documents."""

    def idfs(self, tokens: Iterable[str]) -> Mapping[str, float]:
        """Inverse document frequencies, as in ``LexicalIndex.idf``."""

    def word_weights(self, words: Sequence[Mapping[str, float]]) -> Vectors:
        """float32[n]: for each word, given by its alternatives, how rare passages with any are."""
