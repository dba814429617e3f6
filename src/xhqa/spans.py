"""The neural network of the span reader: the multilingual encoder and a start/end head."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


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

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        logits: torch.Tensor = self.head(states)
        return logits


def from_folder(folder: Path) -> SpanModel:
    """An untrained head on the encoder in ``folder``; dropout off, word embeddings frozen."""
    from transformers import BertModel

    encoder = BertModel.from_pretrained(
        folder,
        add_pooling_layer=False,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    encoder.embeddings.requires_grad_(False)
    return SpanModel(encoder, encoder.config.hidden_size)
