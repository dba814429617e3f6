from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from xhqa_eval import scale


@pytest.fixture
def real(tmp_path: Path) -> Path:
    vectors = np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32)
    np.save(tmp_path / "real.npy", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return tmp_path / "real.npy"


def test_a_text_gets_the_same_vector_near_a_real_one(real: Path) -> None:
    encoder = scale.JitteredEncoder(real)
    (first,), (again, other) = (
        encoder.encode_passages(["甲"]),
        encoder.encode_passages(["甲", "乙"]),
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert np.linalg.norm(first) == pytest.approx(1)
    assert 0.8 < (np.load(real) @ first).max() < 0.99


def test_it_measures_a_built_index(
    real: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["scale", str(real), "--chunks", "30"])
    scale.main()
    figures = json.loads(capsys.readouterr().out)
    assert figures["chunks"] == 30
    assert figures["kind"] == "exact"
    assert figures["recall_at_10"] == 1
    assert 0 < figures["retrieve_p50_ms"] <= figures["retrieve_p95_ms"]
    assert figures["disk_mb"] > 30 * 64 * 4 / 1e6
