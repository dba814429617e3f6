"""The network of the span reader on torch: the multilingual encoder with a start/end head.

It is trained so, and what runs on ONNX Runtime is held to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file
from torch import nn

from xhqa.cpu import has_bfloat16
from xhqa.read import stored
from xhqa.read.separate import PASSAGE_PLACE
from xhqa.tokenizer import END

_PAD = 1


class SpanModel(nn.Module):
    """Question and passage in one pass → start and end logits.

    Input: ids and mask int64[b, t]. Output: float[b, t, 2]; position 0 stands for "no answer".
    In the lowest ``separate`` layers question and passage do not see each other (DeFormer, Cao et
    al. 2020), and the passage's places are counted from ``PASSAGE_PLACE``: what these layers make
    of a passage is the same for every question.
    """

    def __init__(self, encoder: nn.Module, hidden: int, separate: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.separate = separate
        self.head = nn.Linear(hidden, 2)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    @property
    def layers(self) -> list[nn.Module]:
        return list(self.encoder.get_submodule("encoder.layer").children())

    def freeze(self, layers: int) -> None:
        """Keep the lowest ``layers`` of the encoder as they are in training."""
        for layer in self.layers[:layers]:
            layer.requires_grad_(False)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.states(ids, mask)[-1])
        return logits

    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
        """What each layer gives, from the lowest: float[b, t, h]."""
        place = torch.arange(ids.shape[1]).expand_as(ids)
        visible = mask.bool()[:, None, None, :].expand(-1, 1, ids.shape[1], -1)
        apart = visible
        if self.separate:
            # The first end mark ends the question.
            first = (ids == END).int().argmax(1, keepdim=True) + 1
            side = place >= first
            apart = visible & (side[:, None, :, None] == side[:, None, None, :])
            place = torch.where(side, place - first + PASSAGE_PLACE, place)
        encoder: Any = self.encoder
        state: torch.Tensor = encoder.embeddings(input_ids=ids, position_ids=place)
        found = []
        for number, layer in enumerate(self.layers):
            state = _layer(layer, state, apart if number < self.separate else visible)
            found.append(state)
        return found


def _layer(layer: Any, state: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    """A layer of Hugging Face's ``BertModel`` in which token i sees token j where ``visible``,
    bool[b, 1, t, t], says so."""
    attention = layer.attention.self
    heads = (*state.shape[:2], attention.num_attention_heads, attention.attention_head_size)
    parts = attention.query, attention.key, attention.value
    query, key, value = (part(state).view(heads).transpose(1, 2) for part in parts)
    seen = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
    state = layer.attention.output(seen.transpose(1, 2).reshape(state.shape), state)
    wide = nn.functional.gelu(layer.intermediate.dense(state))
    mixed: torch.Tensor = layer.output(wide, state)
    return mixed


def from_folder(folder: Path, separate: int = 0) -> SpanModel:
    """An untrained head on the encoder in ``folder``, in whose lowest ``separate`` layers question
    and passage are apart; dropout off, embeddings frozen."""
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
    return SpanModel(encoder, encoder.config.hidden_size, separate)


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
    weights: dict[str, torch.Tensor],
    base: dict[str, torch.Tensor],
    path: Path,
    note: str,
    separate: int = 0,
) -> None:
    """Write trained ``weights`` (by parameter name) as differences to ``base``; see ``stored``."""
    trained, before = (
        {name: tensor.float().numpy() for name, tensor in some.items()} for some in (weights, base)
    )
    stored.save(trained, before, path, note, separate)


def load_reader(path: Path, folder: Path) -> SpanModel:
    """The reader in ``path`` on the encoder in ``folder``, ready for inference.

    Raises ModelError where the file is none or belongs to another encoder.
    """
    base = load_file(folder / "model.safetensors")
    reader = stored.load(path, base)
    model = from_folder(folder, reader.separate)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(reader.weights[name]))
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
