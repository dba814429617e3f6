"""``reader.safetensors``: trained weights as 4-bit differences to the bundled encoder (12 MB)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from xhqa.read.separate import LOWER, UPPER, SeparateSession
from xhqa.session import Network, Session

Weights = dict[str, npt.NDArray[np.float32]]

GRAPH = "reader.onnx"
# Readers of the first form see question and passage together in all layers.
_FORMATS = "xhqa-reader-1", "xhqa-reader-2"
# The prefix of the encoder's weights in a reader.
_ENCODER = "encoder."


@dataclass(frozen=True, slots=True)
class Stored:
    """A reader's weights by its parameters' names, and in how many of the lowest layers question
    and passage do not see each other."""

    weights: Weights
    separate: int


def save(weights: Weights, base: Weights, path: Path, note: str, separate: int = 0) -> None:
    """Write trained ``weights`` as differences to ``base``, both by the names of the reader's
    parameters; matrices become 4-bit blocks, vectors and the head stay float32. ``note`` is kept in
    the file."""
    stored: dict[str, npt.NDArray[np.generic]] = {}
    for name, values in weights.items():
        if name in base and values.ndim == 2:
            stored[f"delta4/{name}"] = quantise((values - base[name]).reshape(-1)).reshape(
                -1, BYTES
            )
        else:
            stored[f"full/{name}"] = np.ascontiguousarray(values, np.float32)
    metadata = {"format": _FORMATS[-1], "base": bundle.SHA256, "note": note}
    save_file(stored, path, metadata | {"separate_layers": str(separate)})


def load(path: Path, base: Weights) -> Stored:
    """The reader in ``path`` on ``base``, the encoder's weights by their names.

    Raises ModelError where the file is none or belongs to another encoder.
    """
    try:
        with safe_open(path, "np") as opened:
            metadata = opened.metadata() or {}
        stored = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{path} is not a reader: check XHQA_READER ({error})") from error
    if metadata.get("format") not in _FORMATS or metadata.get("base") != bundle.SHA256:
        raise ModelError(
            f"{path} was not trained on this encoder (its metadata: {json.dumps(metadata)[:200]}): "
            "train it anew with `xhqa train-reader`, or unset XHQA_READER"
        )
    try:
        weights = _merged(stored, {_ENCODER + name: values for name, values in base.items()})
        return Stored(weights, int(metadata.get("separate_layers", 0)))
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{path} is not a reader, its tensors are not those of one ({error}): check XHQA_READER"
        ) from error


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
    """The folder with the reader in ``path`` as ``reader.onnx``, or as ``lower.onnx`` and
    ``upper.onnx`` where its lowest layers are separate; made on the first call. Raises ModelError
    as ``load`` does."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{path} is not a reader: check XHQA_READER ({error})") from error

    def write(folder: Path) -> None:
        model = bundle.read_model()
        reader = load(path, bundle.weights(model))
        plain = {name.removeprefix(_ENCODER): values for name, values in reader.weights.items()}
        make = partial(bert, plain, model.heads, model.layer_norm_eps)
        if reader.separate:
            graphs = {
                LOWER: make(highest=reader.separate),
                UPPER: make("head", lowest=reader.separate),
            }
        else:
            graphs = {GRAPH: make("head")}
        for name, graph in graphs.items():
            (folder / name).write_bytes(graph.SerializeToString())

    target = cache_dir / f"reader-{digest[:12]}-onnx{bundle.CONVERSION}.{bundle.FORM}"
    message = "Converting the reader (once, about 5 seconds) …"
    return cached(target, write, lambda: notify(message))


def open_reader(
    path: Path,
    cache_dir: Path,
    threads: int = 0,
    notify: Callable[[str], None] = lambda message: None,
) -> Network:
    """The reader in ``path`` on ONNX Runtime; raises ModelError."""
    folder = bundle.runtime(cache_dir, notify)
    graphs = converted(path, cache_dir, notify)
    if (graphs / GRAPH).exists():
        return Session(graphs / GRAPH, folder, threads)
    return SeparateSession(graphs, folder, threads)
