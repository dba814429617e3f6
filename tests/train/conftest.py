"""Training on small networks, the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from support import CharacterTokenizer
from train_support import PASSAGE


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The networks here are tiny, and threads beside other work wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asserted exactly is not left to what this processor is faster in."""
    monkeypatch.setattr("xhqa.train.loop.faster_in_bfloat16", lambda: False)


@pytest.fixture(scope="module")
def tokenizer() -> CharacterTokenizer:
    """A token for every character; the first ids are the special ones."""
    return CharacterTokenizer(
        "".join(sorted(set(PASSAGE + "query: 有几座桥建于哪年？丙城在西面。")))
    )
