"""Vectors on disk and the nearest of them: ``VectorStore`` and its engines.

The full vectors lie in one ``.npy`` file that is mapped into memory, not read. A small corpus is
searched as it is; a large one by inverted lists of 8-bit codes, whose best candidates are ranked
anew by the full vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from xhqa.errors import IndexDamagedError

Vectors = npt.NDArray[np.float32]
Found = tuple[npt.NDArray[np.int64], Vectors]

VECTORS = "vectors.npy"
LISTS = "lists.faiss"
# Up to so many vectors all are compared: the time is below that of anything else in a question.
EXACT_LIMIT = 100_000
# Up to so many positions are compared one by one where the search is limited to them.
_FEW = 20_000
_BLOCK = 16_384
_TRAINED_PER_LIST = 40
_LISTS_SEARCHED = 64
# Candidates by codes for each position that is asked for.
_CANDIDATES = 4


class VectorStore(Protocol):
    """Unit vectors by position 0…n-1; similarity is the inner product, higher is nearer."""

    def __len__(self) -> int: ...

    def search(self, query: Vectors, k: int, among: Sequence[int] | None = None) -> Found:
        """The best ``k`` positions for float32[d] and their similarities, best first; fewer where
        there are fewer. ``among`` limits the search to these positions, each given once."""

    def vectors(self, positions: Sequence[int] | npt.NDArray[np.int64]) -> Vectors:
        """The stored vectors float32[len(positions), d]."""


class ExactStore:
    """Compares the query with every vector (FAISS, brute force)."""

    def __init__(self, vectors: Vectors) -> None:
        """``vectors``: float32[n, d], as a rule mapped from a file."""
        self._vectors = np.asarray(vectors)

    def __len__(self) -> int:
        return len(self._vectors)

    def search(self, query: Vectors, k: int, among: Sequence[int] | None = None) -> Found:
        import faiss

        places = None if among is None else np.asarray(among, np.int64)
        count = len(self) if places is None else len(places)
        scores, found = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
        for at in range(0, count if k > 0 else 0, _BLOCK):
            block = slice(at, min(at + _BLOCK, count))
            rows = self._vectors[block if places is None else places[block]]
            values, numbers = faiss.knn(
                query.reshape(1, -1), rows, min(k, len(rows)), faiss.METRIC_INNER_PRODUCT
            )
            scores.append(values[0])
            found.append(numbers[0].astype(np.int64) + at)
        similarities, numbers = np.concatenate(scores), np.concatenate(found)
        best = highest(similarities, k)
        positions = numbers[best] if places is None else places[numbers[best]]
        return positions, similarities[best]

    def vectors(self, positions: Sequence[int] | npt.NDArray[np.int64]) -> Vectors:
        rows: Vectors = self._vectors[np.asarray(positions, np.int64)]
        return rows


class ListStore(ExactStore):
    """Looks in the nearest inverted lists of 8-bit codes (FAISS ``IVF…,SQ8``), and ranks what is
    best there by the full vectors. Searches among few positions are exact."""

    def __init__(self, vectors: Vectors, lists: Any) -> None:
        super().__init__(vectors)
        self._lists = lists

    def search(self, query: Vectors, k: int, among: Sequence[int] | None = None) -> Found:
        import faiss

        if k <= 0 or (among is not None and len(among) <= _FEW):
            return super().search(query, k, among)
        options: dict[str, Any] = {"nprobe": _LISTS_SEARCHED}
        if among is not None:
            # As many of these positions are seen as there are of all in a search without limit.
            options["nprobe"] = -(-_LISTS_SEARCHED * len(self) // len(among))
            options["sel"] = faiss.IDSelectorBatch(np.asarray(among, np.int64))
        options["nprobe"] = min(options["nprobe"], self._lists.nlist)
        _, near = self._lists.search(
            query.reshape(1, -1), _CANDIDATES * k, params=faiss.SearchParametersIVF(**options)
        )
        return super().search(query, k, np.sort(near[0][near[0] >= 0]).tolist())


def highest(scores: Vectors, k: int) -> npt.NDArray[np.int64]:
    """Where the ``k`` highest of ``scores`` stand, highest first and among equals the first one;
    all where there are fewer. Linear in their number."""
    if 0 < k < len(scores):
        least = np.partition(scores, -k)[-k]
        above = np.flatnonzero(scores > least)
        chosen = np.sort(np.append(above, np.flatnonzero(scores == least)[: k - len(above)]))
    else:
        chosen = np.arange(len(scores) if k > 0 else 0)
    return chosen[np.argsort(-scores[chosen], kind="stable")]


def create(folder: Path, count: int, dimension: int) -> Vectors:
    """A new file for float32[count, dimension] in ``folder``, mapped to be written."""
    if not count:
        # An empty file cannot be mapped.
        empty: Vectors = np.empty((0, dimension), np.float32)
        np.save(folder / VECTORS, empty, allow_pickle=False)
        return empty
    return np.lib.format.open_memmap(
        folder / VECTORS, mode="w+", dtype=np.float32, shape=(count, dimension)
    )


def finish(folder: Path, vectors: Vectors, exact_limit: int = EXACT_LIMIT) -> None:
    """Write what else the search of the filled ``vectors`` needs: inverted lists beyond
    ``exact_limit``. Takes d + 8 bytes of memory for each of them besides what trains the lists."""
    if isinstance(vectors, np.memmap):
        vectors.flush()
    if len(vectors) <= exact_limit:
        return
    import faiss

    lists: Any = faiss.index_factory(
        vectors.shape[1],
        f"IVF{round(4 * len(vectors) ** 0.5)},SQ8",
        faiss.METRIC_INNER_PRODUCT,
    )
    # The seed of FAISS's own k-means is fixed too.
    drawn = np.random.default_rng(0).choice(
        len(vectors), min(len(vectors), _TRAINED_PER_LIST * lists.nlist), replace=False
    )
    lists.train(vectors[np.sort(drawn)])
    for at in range(0, len(vectors), _BLOCK):
        lists.add(np.ascontiguousarray(vectors[at : at + _BLOCK]))
    faiss.write_index(lists, str(folder / LISTS))


def kind(folder: Path) -> str:
    """How the vectors in ``folder`` are searched: a key of ``KINDS``."""
    return "lists" if (folder / LISTS).exists() else "exact"


def open_store(folder: Path, kind: str, dimension: int) -> VectorStore:
    """Open the vectors in ``folder``; IndexDamagedError where they are not as the manifest says."""
    if kind not in KINDS:
        raise IndexDamagedError(
            f"{folder} holds vectors of the kind {kind!r}, this xhqa knows "
            f"{', '.join(KINDS)}: run `xhqa index` on the same files to rebuild it"
        )
    path = folder / VECTORS
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:
        # An empty array cannot be mapped, and what is no array cannot be read at all.
        mapped = _empty(path)
    if mapped.ndim != 2 or mapped.shape[1] != dimension:
        raise IndexDamagedError(
            f"{path} has dimension {mapped.shape[-1]}, the manifest says {dimension}: "
            "run `xhqa index` on the same files to rebuild it"
        )
    return KINDS[kind](folder, mapped)


def _empty(path: Path) -> Vectors:
    try:
        read: Vectors = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise _unreadable(path) from error
    return read


def _open_lists(folder: Path, vectors: Vectors) -> ListStore:
    import faiss

    path = folder / LISTS
    try:
        lists = faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    except RuntimeError as error:
        raise _unreadable(path) from error
    if lists.ntotal != len(vectors):
        raise IndexDamagedError(
            f"{path} has {lists.ntotal} vectors, {VECTORS} has {len(vectors)}: "
            "run `xhqa index` on the same files to rebuild it"
        )
    return ListStore(vectors, lists)


def _unreadable(path: Path) -> IndexDamagedError:
    return IndexDamagedError(
        f"{path} cannot be read: run `xhqa index` on the same files to rebuild it"
    )


KINDS = {
    "exact": lambda folder, vectors: ExactStore(vectors),
    "lists": _open_lists,
}
