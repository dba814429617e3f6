"""The network that is trained."""

from __future__ import annotations

import math

import pytest
import torch
from train_support import tiny_model

from xhqa.read.model import attend

SIDES = torch.tensor([[0, 7, 2, 1], [0, 9, 5, 2]]), torch.tensor([[2, 8, 9, 2], [2, 8, 9, 2]])


def test_lower_layers_that_are_apart_make_the_same_of_a_passage_whatever_is_asked() -> None:
    with torch.inference_mode():
        apart, both = tiny_model(3, 2)(*SIDES), tiny_model(3)(*SIDES)
    # ``states`` has first those behind two of three layers.
    passages = apart.states[0][:, 4:]
    assert passages[0] == pytest.approx(passages[1], abs=1e-6)
    assert (both.states[0][0, 4:] - both.states[0][1, 4:]).abs().max() > 1e-3
    # The last layer sees both.
    assert (apart.states[1][0, 4:] - apart.states[1][1, 4:]).abs().max() > 1e-4


def test_a_reader_that_reads_both_together_is_the_one_of_hugging_face() -> None:
    model = tiny_model(3, 2)
    with torch.inference_mode():
        logits = model(*SIDES, together=True).logits
        for row, ids in enumerate([[0, 7, 2, 2, 8, 9, 2], [0, 9, 5, 2, 2, 8, 9, 2]]):
            states = model.encoder(input_ids=torch.tensor([ids])).last_hidden_state
            ours = logits[row][(torch.cat(SIDES, 1)[row] != 1)]
            assert ours.numpy() == pytest.approx(model.head(states)[0].numpy(), abs=1e-5)


def test_attention_is_worked_out_in_float32() -> None:
    torch.manual_seed(3)
    halves = [torch.randn(1, 2, 40, 8).to(torch.bfloat16) for _ in range(3)]
    mask = torch.ones(1, 1, 1, 40, dtype=torch.bool)
    mask[..., 30:] = False
    with torch.autocast("cpu", torch.bfloat16):
        mixed, _ = attend(torch.nn.Module(), *halves, mask)
        inexact = torch.nn.functional.scaled_dot_product_attention(*halves, mask)
    query, key, value = (half.float() for half in halves)
    scores = (query @ key.transpose(2, 3) / 8**0.5).masked_fill(~mask, -math.inf)
    exact = (scores.softmax(-1) @ value).transpose(1, 2)
    assert mixed.dtype == torch.bfloat16
    rounded = exact.to(torch.bfloat16)
    # Sums in another order may turn a rounding.
    assert (mixed == rounded).float().mean() > 0.99
    assert (inexact.transpose(1, 2) == rounded).float().mean() < 0.99
