"""The network of the span reader: the multilingual encoder with a start/end head.

Its weights are stored as 4-bit differences to the bundled encoder, so that they take 12 MB.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from xhqa import bundle
from xhqa.errors import ModelError

_BLOCK = 32
_FORMAT = "xhqa-reader-1"


class SpanModel(nn.Module):
    """Question and passage in one pass → start and end logits.

    Input: ids and mask int64[b, t]. Output: float[b, t, 2]; position 0 stands for "no answer".
    """

    def __init__(self, encoder: nn.Module, hidden: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(hidden, 2)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def freeze(self, layers: int) -> None:
        """Keep the lowest ``layers`` of the encoder as they are in training."""
        stack = self.encoder.get_submodule("encoder.layer")
        for layer in list(stack.children())[:layers]:
            layer.requires_grad_(False)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        logits: torch.Tensor = self.head(states)
        return logits


def from_folder(folder: Path) -> SpanModel:
    """An untrained head on the encoder in ``folder``; dropout off, embeddings frozen."""
    from transformers import BertModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    encoder = BertModel.from_pretrained(
        folder,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    encoder.pooler = None
    encoder.embeddings.requires_grad_(False)
    return SpanModel(encoder, encoder.config.hidden_size)


def quantise(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """float32[32 · n] → uint8[n, 18]: the blocks that ``bundle.dequantise`` reads.

    The scale of a block is its value of largest magnitude over -8, so that this one is exact.
    """
    rows = values.reshape(-1, _BLOCK)
    largest = rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)]
    scales = (largest / -8.0).astype(np.float16)
    divisor = np.where(scales == 0, np.float32(1), scales.astype(np.float32))[:, None]
    nibbles = np.clip(np.rint(rows / divisor) + 8, 0, 15).astype(np.uint8)
    packed = nibbles[:, :16] | (nibbles[:, 16:] << 4)
    return np.concatenate([scales.view(np.uint8).reshape(-1, 2), packed], axis=1)


def save_reader(
    weights: dict[str, torch.Tensor], base: dict[str, torch.Tensor], path: Path, note: str
) -> None:
    """Write trained ``weights`` (by parameter name) as differences to ``base``.

    Matrices become 4-bit blocks, vectors and the head stay float32. ``note`` is kept in the file.
    """
    stored: dict[str, torch.Tensor] = {}
    for name, tensor in weights.items():
        if name in base and tensor.dim() == 2:
            delta = (tensor - base[name]).float().numpy().reshape(-1)
            stored[f"delta4/{name}"] = torch.from_numpy(quantise(delta))
        else:
            stored[f"full/{name}"] = tensor.float().contiguous()
    save_file(stored, path, metadata={"format": _FORMAT, "base": bundle.SHA256, "note": note})


def load_reader(path: Path, folder: Path) -> SpanModel:
    """The reader in ``path`` on the encoder in ``folder``, ready for inference.

    Raises ModelError where the file is none or belongs to another encoder.
    """
    try:
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata() or {}
        stored = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(f"{path} is not a reader: check XHQA_READER ({error})") from error
    if metadata.get("format") != _FORMAT or metadata.get("base") != bundle.SHA256:
        raise ModelError(
            f"{path} was not trained on this encoder (its metadata: {json.dumps(metadata)[:200]}): "
            "train it anew with `xhqa train-reader`, or unset XHQA_READER"
        )
    model = from_folder(folder)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for key, tensor in stored.items():
            kind, name = key.split("/", 1)
            if kind == "full":
                parameters[name].copy_(tensor)
            else:
                delta = bundle.dequantise(tensor.numpy().tobytes())
                parameters[name].add_(torch.from_numpy(delta).reshape(parameters[name].shape))
    model.requires_grad_(False)
    return model.eval()
