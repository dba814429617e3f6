"""Vectors on disk and the nearest of them: ``VectorStore`` and its engines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from xhqa.errors import IndexDamagedError

Vectors = npt.NDArray[np.float32]


class VectorStore(Protocol):
    """Unit vectors by position 0…n-1; similarity is the inner product, higher is nearer."""

    def __len__(self) -> int: ...

    def add(self, vectors: Vectors) -> None:
        """Append float32[n, d]."""

    def search(
        self, query: Vectors, k: int, among: Sequence[int] | None = None
    ) -> tuple[npt.NDArray[np.int64], Vectors]:
        """The best ``k`` positions for float32[d] and their similarities, best first; fewer where
        there are fewer. ``among`` limits the search to these positions."""

    def vectors(self, positions: Sequence[int]) -> Vectors:
        """The stored vectors float32[len(positions), d]."""

    def save(self, path: Path) -> None: ...


class FaissStore:
    """Exact search by FAISS ``IndexFlatIP``."""

    def __init__(self, dimension: int) -> None:
        import faiss

        self._index: Any = faiss.IndexFlatIP(dimension)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, vectors: Vectors) -> None:
        if len(vectors):
            self._index.add(np.ascontiguousarray(vectors, np.float32))

    def search(
        self, query: Vectors, k: int, among: Sequence[int] | None = None
    ) -> tuple[npt.NDArray[np.int64], Vectors]:
        import faiss

        k = min(k, len(self) if among is None else len(among))
        if k <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        parameters = None
        if among is not None:
            selector = faiss.IDSelectorBatch(np.asarray(among, np.int64))
            parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
        scores, positions = self._index.search(query.reshape(1, -1), k, params=parameters)
        found = positions[0] >= 0
        return positions[0][found], scores[0][found]

    def vectors(self, positions: Sequence[int]) -> Vectors:
        stored: Vectors = self._index.reconstruct_batch(np.asarray(positions, np.int64))
        return stored

    def save(self, path: Path) -> None:
        import faiss

        faiss.write_index(self._index, str(path))

    @classmethod
    def load(cls, path: Path, dimension: int) -> FaissStore:
        """Open a saved store; IndexDamagedError where it is no FAISS file of this dimension."""
        import faiss

        store = cls.__new__(cls)
        try:
            store._index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise IndexDamagedError(
                f"{path} is not a FAISS index: run `xhqa index` to rebuild it"
            ) from error
        if store._index.d != dimension:
            raise IndexDamagedError(
                f"{path} has dimension {store._index.d}, the manifest says {dimension}: "
                "run `xhqa index` to rebuild it"
            )
        return store
