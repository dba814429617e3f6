"""A reader whose lowest layers see question and passage apart, on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xhqa.graph import MASK, OUTPUT, STATES
from xhqa.session import Outputs, Session, open_graph
from xhqa.tokenizer import END

LOWER, UPPER = "lower.onnx", "upper.onnx"
# Where the passage begins for layers that do not see the question.
PASSAGE_PLACE = 24
# Passages of 256 tokens take 100 MB.
_KEPT = 512

States = npt.NDArray[np.float16]


class SeparateSession:
    """The lowest layers run on question and passage apart, the others on both (DeFormer, Cao et al.
    2020). What the lowest make of the last 512 texts is kept, in half precision, so that a passage
    that was read before costs the upper layers alone. Safe to use from several threads.
    """

    def __init__(self, graphs: Path, folder: Path, threads: int = 0, kept: int = _KEPT) -> None:
        """``graphs`` holds ``lower.onnx`` and ``upper.onnx``; ``folder`` and ``threads`` are those
        of ``Session``. Raises ModelError where a file is damaged."""
        self._lower = Session(graphs / LOWER, folder, threads)
        self._upper = open_graph(graphs / UPPER, threads)
        self._states = lru_cache(kept)(self._below)

    def run(self, rows: Sequence[Sequence[int]]) -> Outputs:
        """As ``xhqa.session.Network`` says. A row's question ends at its first </s>."""
        found = [self._logits(row) for row in rows]
        outputs = np.zeros((len(rows), max(map(len, rows)), found[0].shape[1]), np.float32)
        for output, logits in zip(outputs, found, strict=True):
            output[: len(logits)] = logits
        return outputs

    def _logits(self, row: Sequence[int]) -> Outputs:
        first = row.index(END) + 1
        parts = self._states(tuple(row[:first]), 0), self._states(tuple(row[first:]), PASSAGE_PLACE)
        states = np.concatenate(parts)[None].astype(np.float32)
        inputs = {STATES: states, MASK: np.ones(states.shape[:2], np.int32)}
        logits: Outputs = self._upper.run([OUTPUT], inputs)[0][0]
        return logits

    def _below(self, ids: tuple[int, ...], place: int) -> States:
        """float16[t, h]: what the lowest layers make of a text that begins at ``place``."""
        states: States = self._lower.run([ids], place)[0].astype(np.float16)
        return states
