"""One contract for every store: what brute force over the same vectors finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xhqa import store as stores
from xhqa.errors import IndexDamagedError
from xhqa.store import ExactStore, ListStore, VectorStore, highest, open_store

D = 16
Make = Callable[[np.ndarray], VectorStore]


@pytest.fixture(params=["exact", "lists"])
def make(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Writes a store and opens it again; the lists also where positions are limited."""
    kind = request.param
    monkeypatch.setattr(stores, "_FEW", 40)
    # All of them: how much is missed by looking in the nearest ones is tested by itself.
    monkeypatch.setattr(stores, "_LISTS_SEARCHED", 1000)

    def made(vectors: np.ndarray) -> VectorStore:
        mapped = stores.create(tmp_path, len(vectors), D)
        mapped[:] = vectors
        stores.finish(tmp_path, mapped, len(vectors) if kind == "exact" else 0)
        found = stores.kind(tmp_path)
        assert found == kind or not len(vectors)
        opened = open_store(tmp_path, found, D)
        assert type(opened) is (ListStore if found == "lists" else ExactStore)
        return opened

    return made


def unit(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, D)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_finds_what_brute_force_finds(make: Make) -> None:
    vectors, queries = unit(2000), unit(20, seed=1)
    store = make(vectors)
    assert len(store) == 2000
    for query in queries:
        expected = np.argsort(-(vectors @ query))[:7]
        positions, scores = store.search(query, 7)
        assert positions.tolist() == expected.tolist()
        assert scores == pytest.approx(vectors[expected] @ query, abs=1e-6)


@pytest.mark.parametrize("count", [1, 4, 40, 41, 300, 1900])
def test_a_search_among_some_finds_only_these(make: Make, count: int) -> None:
    vectors, (query,) = unit(2000), unit(1, seed=1)
    store = make(vectors)
    among = np.sort(np.random.default_rng(2).choice(2000, count, replace=False)).tolist()
    positions, scores = store.search(query, 10, among)
    expected = sorted(among, key=lambda n: -float(vectors[n] @ query))[:10]
    assert positions.tolist() == expected
    assert scores == pytest.approx(vectors[expected] @ query, abs=1e-6)


def test_none_to_search_among_finds_nothing(make: Make) -> None:
    store = make(unit(50))
    assert store.search(unit(1)[0], 3, [])[0].tolist() == []
    assert store.search(unit(1)[0], 0)[0].tolist() == []


def test_more_than_there_are_gives_all(make: Make) -> None:
    vectors, (query,) = unit(50), unit(1, seed=1)
    positions, _ = make(vectors).search(query, 100)
    assert positions.tolist() == np.argsort(-(vectors @ query)).tolist()


def test_an_empty_store_finds_nothing(make: Make) -> None:
    store = make(np.empty((0, D), np.float32))
    assert len(store) == 0
    assert store.search(unit(1)[0], 3)[0].tolist() == []
    assert store.vectors([]).shape == (0, D)


def test_the_full_vectors_come_back(make: Make) -> None:
    vectors = unit(60)
    assert np.array_equal(make(vectors).vectors([41, 2, 2]), vectors[[41, 2, 2]])


def test_lists_are_searched_where_there_are_many(tmp_path: Path) -> None:
    """Vectors in a narrow cone around few centres, as those of e5 are: recall@10 of what the full
    comparison finds."""
    rng = np.random.default_rng(0)
    centres = unit(200, seed=3) + 2 * unit(1, seed=4)
    vectors = centres[rng.integers(0, 200, 20_000)] + 0.5 * unit(20_000, seed=5)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    mapped = stores.create(tmp_path, len(vectors), D)
    mapped[:] = vectors
    stores.finish(tmp_path, mapped, 10_000)
    store = open_store(tmp_path, stores.kind(tmp_path), D)
    assert isinstance(store, ListStore)
    exact = ExactStore(vectors)
    held = [
        len(set(store.search(q, 10)[0].tolist()) & set(exact.search(q, 10)[0].tolist()))
        for q in vectors[:50] + 0.1 * unit(50, seed=6)
    ]
    assert sum(held) / 500 >= 0.98


def test_what_is_not_as_the_manifest_says_is_named(tmp_path: Path) -> None:
    mapped = stores.create(tmp_path, 20, D)
    mapped[:] = unit(20)
    stores.finish(tmp_path, mapped, 10)
    with pytest.raises(IndexDamagedError, match="dimension 16, the manifest says 9"):
        open_store(tmp_path, "lists", 9)
    with pytest.raises(IndexDamagedError, match="kind 'other', this xhqa knows exact, lists"):
        open_store(tmp_path, "other", D)
    stores.create(tmp_path, 21, D)
    with pytest.raises(IndexDamagedError, match=r"20 vectors, vectors\.npy has 21"):
        open_store(tmp_path, "lists", D)
    (tmp_path / stores.LISTS).write_bytes(b"not an index")
    with pytest.raises(IndexDamagedError, match=r"lists\.faiss cannot be read"):
        open_store(tmp_path, "lists", D)
    (tmp_path / stores.VECTORS).write_bytes(b"not an array")
    with pytest.raises(IndexDamagedError, match=r"vectors\.npy cannot be read"):
        open_store(tmp_path, "exact", D)


def test_the_highest_come_in_order_and_among_equals_the_first() -> None:
    scores = np.array([1, 3, 2, 3, 2, 2, 0], np.float32)
    assert highest(scores, 4).tolist() == [1, 3, 2, 4]
    assert highest(scores, 1).tolist() == [1]
    assert highest(scores, 9).tolist() == [1, 3, 2, 4, 5, 0, 6]
    assert highest(scores, 0).tolist() == []
