from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xhqa.errors import IndexDamagedError
from xhqa.store import FaissStore, VectorStore


@pytest.fixture(params=[FaissStore])
def store(request: pytest.FixtureRequest) -> VectorStore:
    made: VectorStore = request.param(8)
    return made


def unit(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_finds_what_brute_force_finds(store: VectorStore) -> None:
    vectors, queries = unit(200), unit(5, seed=1)
    store.add(vectors[:120])
    store.add(vectors[120:])
    assert len(store) == 200
    for query in queries:
        expected = np.argsort(-(vectors @ query))[:7]
        positions, scores = store.search(query, 7)
        assert positions.tolist() == expected.tolist()
        assert scores == pytest.approx(vectors[expected] @ query, abs=1e-5)


def test_a_search_among_some_finds_only_these(store: VectorStore) -> None:
    vectors, (query,) = unit(50), unit(1, seed=1)
    store.add(vectors)
    among = [3, 7, 20, 41]
    positions, _ = store.search(query, 10, among)
    assert positions.tolist() == sorted(among, key=lambda n: -float(vectors[n] @ query))
    assert store.search(query, 10, [])[0].tolist() == []


def test_an_empty_store_finds_nothing(store: VectorStore) -> None:
    store.add(np.empty((0, 8), np.float32))
    assert store.search(unit(1)[0], 3)[0].tolist() == []


def test_survives_disk(store: VectorStore, tmp_path: Path) -> None:
    vectors = unit(20)
    store.add(vectors)
    store.save(tmp_path / "v")
    loaded = type(store).load(tmp_path / "v", 8)  # type: ignore[attr-defined]
    assert np.array_equal(loaded.vectors([4, 2]), vectors[[4, 2]])
    with pytest.raises(IndexDamagedError, match="dimension 8, the manifest says 9"):
        type(store).load(tmp_path / "v", 9)  # type: ignore[attr-defined]
    (tmp_path / "w").write_bytes(b"not an index")
    with pytest.raises(IndexDamagedError, match="w is not a FAISS index"):
        type(store).load(tmp_path / "w", 8)  # type: ignore[attr-defined]
