from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xhqa import bundle
from xhqa.blocks import dequantise, quantise
from xhqa.errors import ModelError
from xhqa.read import stored


def test_dequantise_by_hand() -> None:
    # scale 0.5; byte j holds value j in its low nibble and value j + 16 in its high one.
    block = struct.pack("<e", 0.5) + bytes([0x0F] + [0x88] * 14 + [0x10])
    expected = [3.5, *[0.0] * 14, -4.0, -4.0, *[0.0] * 14, -3.5]
    assert dequantise(np.frombuffer(block, np.uint8)).tolist() == expected


def test_quantise_is_undone_by_dequantise() -> None:
    values = np.random.default_rng(0).normal(size=32 * 50).astype(np.float32)
    values[:32] = 0
    back = dequantise(quantise(values))
    assert dequantise(quantise(values.reshape(10, 160))).tolist() == back.reshape(10, 160).tolist()
    step = np.abs(values.reshape(-1, 32)).max(axis=1) / 8
    error = np.abs(back - values).reshape(-1, 32).max(axis=1)
    assert back[:32].tolist() == [0.0] * 32
    assert (error <= 1.01 * step).all()
    assert error.mean() < 0.7 * step.mean()


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(ModelError, match="unknown format"):
        bundle.parse(b"GGUF" + bytes(100))


@pytest.mark.parametrize("convert", [bundle.converted, bundle.runtime])
def test_damaged_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, convert: Callable[[Path], Path]
) -> None:
    (tmp_path / "weights").write_bytes(b"E5S1 but not the same")
    monkeypatch.setattr(bundle, "weights_file", lambda: tmp_path / "weights")
    with pytest.raises(ModelError, match="sha256"):
        convert(tmp_path / "cache")
    assert [p.suffix for p in (tmp_path / "cache").iterdir()] in ([".lock"], [])


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", None])
def test_what_is_no_reader_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"mine\.safetensors is not a reader: check XHQA_READER"):
        stored.load(path, {})
    if content is None:
        with pytest.raises(ModelError, match=r"mine\.safetensors is not a reader"):
            stored.converted(path, tmp_path)


BASE = {"layer.weight": np.ones((4, 32), np.float32), "layer.bias": np.zeros(4, np.float32)}
HEAD = {"head.weight": np.eye(2, 32, dtype=np.float32), "head.bias": np.ones(2, np.float32)}


def test_a_stored_reader_comes_back_to_a_sixteenth_of_what_was_learned(tmp_path: Path) -> None:
    learned = np.random.default_rng(1).normal(scale=0.01, size=(4, 32)).astype(np.float32)
    base = {f"encoder.{name}": values for name, values in BASE.items()}
    trained = HEAD | {
        "encoder.layer.weight": base["encoder.layer.weight"] + learned,
        "encoder.layer.bias": np.arange(4, dtype=np.float32),
    }
    stored.save(trained, base, tmp_path / "r.safetensors", "a note", apart=3)
    assert stored.layers_apart(tmp_path / "r.safetensors") == 3
    back = stored.load(tmp_path / "r.safetensors", BASE)
    assert back.keys() == trained.keys()
    for name in ("head.weight", "head.bias", "encoder.layer.bias"):
        assert back[name].tolist() == trained[name].tolist()
    error = np.abs(back["encoder.layer.weight"] - trained["encoder.layer.weight"])
    assert error.max() <= np.abs(learned).max() / 7.9
    assert error.mean() < np.abs(learned).mean() / 4


@pytest.mark.parametrize(
    ("stored_as", "said"),
    [
        ({}, "head"),
        (HEAD | {"encoder.unknown": np.zeros((4, 32), np.float32)}, "unknown"),
        (HEAD | {"encoder.layer.bias": np.zeros(5, np.float32)}, "shape"),
    ],
)
def test_a_reader_without_its_tensors_is_refused_by_name(
    tmp_path: Path, stored_as: dict[str, np.ndarray], said: str
) -> None:
    base = {"encoder.unknown": np.ones((4, 32), np.float32)}
    stored.save(stored_as, base, tmp_path / "mine.safetensors", "")
    with pytest.raises(ModelError, match=rf"mine\.safetensors is not a reader.*{said}"):
        stored.load(tmp_path / "mine.safetensors", BASE)
