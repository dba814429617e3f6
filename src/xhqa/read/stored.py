"""``reader.safetensors``: trained weights as 4-bit differences to the bundled encoder (12 MB)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from xhqa import bundle
from xhqa.blocks import BYTES, dequantise, quantise
from xhqa.cache import cached
from xhqa.errors import ModelError
from xhqa.graph import bert

Weights = dict[str, npt.NDArray[np.float32]]

LOWER, UPPER = "reader-lower.onnx", "reader-upper.onnx"
_FORMAT = "xhqa-reader-1"
_APART = "layers_apart"
# The prefix of the encoder's weights in a reader.
_ENCODER = "encoder."


def save(weights: Weights, base: Weights, path: Path, note: str, apart: int = 0) -> None:
    """Write trained ``weights`` as differences to ``base``, both by the names of the reader's
    parameters; matrices become 4-bit blocks, vectors and the head stay float32. ``note`` and how
    many of its layers see question and passage ``apart`` are kept in the file."""
    stored: dict[str, npt.NDArray[np.generic]] = {}
    for name, values in weights.items():
        if name in base and values.ndim == 2:
            stored[f"delta4/{name}"] = quantise((values - base[name]).reshape(-1)).reshape(
                -1, BYTES
            )
        else:
            stored[f"full/{name}"] = np.ascontiguousarray(values, np.float32)
    metadata = {"format": _FORMAT, "base": bundle.SHA256, "note": note, _APART: str(apart)}
    save_file(stored, path, metadata=metadata)


def layers_apart(path: Path) -> int:
    """How many of the lowest layers of the reader in ``path`` see question and passage apart."""
    return int(_metadata(path).get(_APART, "0"))


def load(path: Path, base: Weights) -> Weights:
    """The weights of the reader in ``path`` by its parameters' names, on ``base`` by the encoder's.

    Raises ModelError where the file is none or belongs to another encoder.
    """
    try:
        stored = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{path} is not a reader: check XHQA_READER ({error})") from error
    metadata = _metadata(path)
    if metadata.get("format") != _FORMAT or metadata.get("base") != bundle.SHA256:
        raise ModelError(
            f"{path} was not trained on this encoder (its metadata: {json.dumps(metadata)[:200]}): "
            "train it anew with `xhqa train-reader`, or unset XHQA_READER"
        )
    try:
        return _merged(stored, {_ENCODER + name: values for name, values in base.items()})
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{path} is not a reader, its tensors are not those of one ({error}): check XHQA_READER"
        ) from error


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "np") as opened:
        return opened.metadata() or {}


def _merged(stored: Mapping[str, npt.NDArray[Any]], weights: Weights) -> Weights:
    for key, values in stored.items():
        kind, name = key.split("/", 1)
        if kind == "delta4":
            before = weights[name]
            weights[name] = before + dequantise(values).reshape(before.shape)
        elif name in weights and values.shape != weights[name].shape:
            raise ValueError(f"{name} has shape {values.shape}")
        else:
            weights[name] = values
    head, bias = weights["head.weight"], weights["head.bias"]
    if head.ndim != 2 or bias.shape != head.shape[:1]:
        raise ValueError(f"head.weight has shape {head.shape}")
    return weights


def converted(
    path: Path, cache_dir: Path, notify: Callable[[str], None] = lambda message: None
) -> Path:
    """The folder with the reader in ``path`` as the two graphs of ``xhqa.session.PairSession``, in
    int8, made on the first call; raises ModelError as ``load`` does."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{path} is not a reader: check XHQA_READER ({error})") from error

    def write(folder: Path) -> None:
        model = bundle.read_model()
        weights = load(path, bundle.weights(model))
        plain = {name.removeprefix(_ENCODER): values for name, values in weights.items()}
        probe = "probe" if "probe.weight" in plain else None
        make = partial(bert, plain, model.heads, model.layer_norm_eps)
        far = bundle.outliers(make, model, bundle.runtime(cache_dir))
        apart = layers_apart(path)
        lower = make(outliers=far, up_to=apart)
        upper = make(head="head", outliers=far, probe=probe, from_layer=apart)
        for name, graph in ((LOWER, lower), (UPPER, upper)):
            (folder / name).write_bytes(graph.SerializeToString())

    target = cache_dir / f"reader-{digest[:12]}-onnx{bundle.CONVERSION}.{bundle.FORM}"
    message = "Converting the reader (once, about 5 seconds) …"
    return cached(target, write, lambda: notify(message))
