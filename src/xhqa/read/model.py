"""The network of the span reader on torch: the multilingual encoder with a start/end head.

It is trained so, and what runs on ONNX Runtime is held to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file
from torch import nn

from xhqa.cpu import has_bfloat16
from xhqa.graph import probed
from xhqa.read import stored

_PAD = 1


PROBE = "probe."
"""How the names of the probe's parameters begin."""


class SpanModel(nn.Module):
    """Question and passage in one pass → start and end logits.

    Input: ids and mask int64[b, t]. Output: float[b, t, 2]; position 0 stands for "no answer".
    The probe guesses these after two thirds of the layers (``xhqa.graph``); it learns from them
    and they nothing from it.
    """

    def __init__(self, encoder: nn.Module, hidden: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(hidden, 2)
        self.probe = nn.Linear(hidden, 2)
        for layer in (self.head, self.probe):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def freeze(self, layers: int) -> None:
        """Keep the lowest ``layers`` of the encoder as they are in training."""
        stack = self.encoder.get_submodule("encoder.layer")
        for layer in list(stack.children())[:layers]:
            layer.requires_grad_(False)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.with_probe(ids, mask)[0]

    def with_probe(
        self, ids: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The logits, and the probe's."""
        states = self.encoder(
            input_ids=ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states
        seen = states[probed(len(states) - 1)].detach()
        return self.head(states[-1]), self.probe(seen)


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


class TorchNetwork:
    """A trained model behind ``xhqa.session.Network``: float32, or bfloat16 where the processor
    has tiles for it."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._half = has_bfloat16()

    def run(self, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        length = max(map(len, rows))
        ids = torch.full((len(rows), length), _PAD)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, self._half):
            outputs: npt.NDArray[np.float32] = self._model(ids, mask).float().numpy()
        return outputs


def save_reader(
    weights: dict[str, torch.Tensor], base: dict[str, torch.Tensor], path: Path, note: str
) -> None:
    """Write trained ``weights`` (by parameter name) as differences to ``base``."""
    trained, before = (
        {name: tensor.float().numpy() for name, tensor in some.items()} for some in (weights, base)
    )
    stored.save(trained, before, path, note)


def load_reader(path: Path, folder: Path) -> SpanModel:
    """The reader in ``path`` on the encoder in ``folder``, ready for inference.

    Raises ModelError where the file is none or belongs to another encoder.
    """
    base = load_file(folder / "model.safetensors")
    weights = stored.load(path, base)
    model = from_folder(folder)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Readers that were trained before there was a probe have none.
            if name in weights or not name.startswith(PROBE):
                parameter.copy_(torch.from_numpy(weights[name]))
    model.requires_grad_(False)
    return model.eval()


def export(path: Path, folder: Path, out: Path) -> None:
    """Write the reader in ``path``, on the encoder in ``folder``, to ``out`` in the form of Hugging
    Face's ``BertForQuestionAnswering``, with its tokenizer.

    It wants questions that begin with "query: ". Raises ModelError as ``load_reader`` does.
    """
    from transformers import AutoTokenizer, BertConfig, BertForQuestionAnswering

    model = load_reader(path, folder)
    config = BertConfig.from_pretrained(folder, num_labels=2)
    exported = BertForQuestionAnswering(config)
    exported.bert.load_state_dict(model.encoder.state_dict())
    exported.qa_outputs.load_state_dict(model.head.state_dict())
    exported.save_pretrained(out)
    AutoTokenizer.from_pretrained(folder).save_pretrained(out)
