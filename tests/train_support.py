"""A small passage, questions on it, and a network to train on them."""

from __future__ import annotations

import torch

from xhqa.read.model import SpanModel
from xhqa.train.examples import Example

PASSAGE = "甲镇建于1952年。镇上有三十座桥。乙村在甲镇的南面，种植水稻。"


def example(question: str, words: str | None, passage: str = PASSAGE) -> Example:
    answer = None
    if words:
        start = passage.index(words)
        answer = start, start + len(words)
    return Example(question, question, passage, answer)


def tiny_model(layers: int = 1, apart: int = 0) -> SpanModel:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=100,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return SpanModel(BertModel(config, add_pooling_layer=False), 16, apart)
