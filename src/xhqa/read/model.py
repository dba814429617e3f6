"""The network of the span reader on torch: the multilingual encoder with a start/end head.

It is trained so, and what runs on ONNX Runtime is held to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file
from torch import nn

from xhqa.graph import probed
from xhqa.read import stored
from xhqa.session import PASSAGE_PLACE
from xhqa.tokenizer import PAD

PROBE = "probe."
"""How the names of the probe's parameters begin."""
_ATTENTION = "xhqa"


class Reading(NamedTuple):
    """What the network makes of questions and passages, float[b, q + p, ·]: the logits for
    beginning and for ending an answer, the probe's guesses at these, and the states behind the
    layers up to the probe and behind the last, which a pupil is held to."""

    logits: torch.Tensor
    guesses: torch.Tensor
    states: tuple[torch.Tensor, torch.Tensor]


class SpanModel(nn.Module):
    """Questions and passages → start and end logits, float[b, q + p, 2].

    Input: the ids of the questions with their special tokens, ``<s> query: … </s>``, int64[b, q],
    and of the passages, ``</s> … </s>``, int64[b, p], padded. Position 0 stands for "no answer".
    The lowest ``apart`` layers see question and passage apart (Cao et al. 2020, "DeFormer"), so
    that what they make of a passage can be kept. The probe guesses the logits after two thirds of
    the layers (``xhqa.graph``); it learns from them and they nothing from it.
    """

    def __init__(self, encoder: nn.Module, hidden: int, apart: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.apart = apart
        self.head = nn.Linear(hidden, 2)
        self.probe = nn.Linear(hidden, 2)
        for layer in (self.head, self.probe):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def freeze(self, layers: int) -> None:
        """Keep the lowest ``layers`` of the encoder as they are in training."""
        for layer in self._layers()[:layers]:
            layer.requires_grad_(False)

    def _layers(self) -> list[nn.Module]:
        return list(self.encoder.get_submodule("encoder.layer").children())

    def forward(
        self, questions: torch.Tensor, passages: torch.Tensor, together: bool = False
    ) -> Reading:
        """With ``together`` all layers see both, and a passage's positions go on from its
        question's, as in Hugging Face's form of the reader."""
        sides = questions, passages
        real = [ids != PAD for ids in sides]
        places = torch.arange(passages.shape[1])[None]
        places = places + (real[0].sum(1, keepdim=True) if together else PASSAGE_PLACE)
        embed = self.encoder.get_submodule("embeddings")
        states = [embed(input_ids=questions), embed(input_ids=passages, position_ids=places)]
        layers = self._layers()
        low = 0 if together else self.apart
        for layer in layers[:low]:
            states = [layer(s, _mask(r)) for s, r in zip(states, real, strict=True)]
        state, mask = torch.cat(states, 1), _mask(torch.cat(real, 1))
        for number, layer in enumerate(layers):
            if number == probed(len(layers)):
                seen = state
            if number >= low:
                state = layer(state, mask)
        return Reading(self.head(state), self.probe(seen.detach()), (seen, state))


def _mask(real: torch.Tensor) -> torch.Tensor | None:
    """bool[b, 1, 1, t]: what may be looked at; None where that is everything."""
    return None if bool(real.all()) else real[:, None, None]


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it, worked out in float32 whatever comes in: bfloat16 took
    1.6 times as long."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    with torch.autocast("cpu", enabled=False):
        sides = query.float(), key.float(), value.float()
        mixed, _ = sdpa_attention_forward(module, *sides, attention_mask, **options)
    return mixed.to(query.dtype), None


def from_folder(folder: Path, apart: int = 0) -> SpanModel:
    """An untrained head on the encoder in ``folder``, its lowest layers ``apart``; dropout off,
    embeddings frozen."""
    from transformers import AttentionInterface, BertModel
    from transformers.utils.logging import disable_progress_bar

    # No mask belongs to it: ``SpanModel`` calls the layers one by one with its own.
    AttentionInterface.register(_ATTENTION, attend)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    encoder = BertModel.from_pretrained(
        folder,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation=_ATTENTION,
    )
    encoder.pooler = None
    encoder.embeddings.requires_grad_(False)
    return SpanModel(encoder, encoder.config.hidden_size, apart)


class TorchNetwork:
    """A trained model behind ``xhqa.session.PairNetwork``, in float32."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def run(self, question: Sequence[int], passage: Sequence[int]) -> npt.NDArray[np.float32]:
        sides = torch.tensor([question]), torch.tensor([passage])
        with torch.inference_mode():
            logits: npt.NDArray[np.float32] = self._model(*sides).logits[0].numpy()
        return logits

    def prepare(self, passage: Sequence[int]) -> None:
        """Nothing is kept."""


def save_reader(
    weights: dict[str, torch.Tensor],
    base: dict[str, torch.Tensor],
    path: Path,
    note: str,
    apart: int = 0,
) -> None:
    """Write trained ``weights`` (by parameter name) as differences to ``base``."""
    trained, before = (
        {name: tensor.float().numpy() for name, tensor in some.items()} for some in (weights, base)
    )
    stored.save(trained, before, path, note, apart)


def load_reader(path: Path, folder: Path) -> SpanModel:
    """The reader in ``path`` on the encoder in ``folder``, ready for inference.

    Raises ModelError where the file is none or belongs to another encoder.
    """
    base = load_file(folder / "model.safetensors")
    weights = stored.load(path, base)
    model = from_folder(folder, stored.layers_apart(path))
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
