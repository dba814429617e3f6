"""A transformer on ONNX Runtime: token ids in, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from xhqa.blocks import dequantise
from xhqa.cpu import usable_cores
from xhqa.errors import ModelError
from xhqa.graph import EMBEDDINGS, MASK, OUTPUT, STAYS
from xhqa.tokenizer import PAD

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Outputs = npt.NDArray[np.float32]

WORDS, PLACES = "words.npy", "places.npy"
PASSAGE_PLACE = 30
"""The position of a passage's first token, whatever its question: so what the lower layers make of
it can be kept."""
KEPT = 1024
"""How many questions and passages: at most about 100 MB."""


class Network(Protocol):
    """What turns token ids into vectors."""

    def run(self, rows: Sequence[Sequence[int]]) -> Outputs:
        """float32[b, t, n] for b rows, padded to the longest, of t tokens."""


class PairNetwork(Protocol):
    """What reads a passage for a question."""

    def run(self, question: Sequence[int], passage: Sequence[int]) -> Outputs:
        """Logits float32[q + p, 2] for the tokens of both with their special ones,
        ``<s> query: … </s>`` and ``</s> … </s>``.

        Tokens that cannot begin or end an answer may have the logits ``xhqa.graph.SIFTED``.
        """

    def prepare(self, passage: Sequence[int]) -> None:
        """Do now what takes the same for every question, if there is such."""


class Session:
    """A graph of ``xhqa.graph`` over the embeddings in a folder. Safe to use from several threads.

    The word embeddings are mapped from disk and both models' sessions share them.
    """

    def __init__(self, graph: Path, folder: Path, threads: int = 0) -> None:
        """``folder`` has ``words.npy``, uint8[v, ·], the word embeddings as 4-bit blocks, and
        ``places.npy``, float32[t, h], the sum of position and token type embeddings. ``threads``:
        0 for one a core that this process may use. Raises ModelError where a file is damaged."""
        with _damage(graph):
            self._session = _opened(graph, threads)
            self._masks = _takes(self._session, MASK)
            self._words = np.load(folder / WORDS, mmap_mode="r")
            self._places = np.load(folder / PLACES)

    def run(self, rows: Sequence[Sequence[int]], place: int = 0) -> Outputs:
        """The positions begin at ``place``."""
        length = max(map(len, rows))
        ids = np.full((len(rows), length), PAD)
        mask = np.zeros((len(rows), length), np.int32)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        words = dequantise(self._words[ids])
        inputs = {EMBEDDINGS: words + self._places[place : place + length]}
        if self._masks:
            inputs[MASK] = mask
        outputs: Outputs = self._session.run([OUTPUT], inputs)[0]
        return outputs


class PairSession:
    """A reader in two graphs: the lower layers see question and passage apart, the upper ones both
    together. Safe to use from several threads.

    What the lower ones make of the last ``KEPT`` questions and passages is kept, in 8 bits.
    """

    def __init__(self, lower: Path, upper: Path, folder: Path, threads: int = 0) -> None:
        """``folder`` and ``threads`` as in ``Session``; raises ModelError as that does."""
        self._lower = Session(lower, folder, threads)
        with _damage(upper):
            self._upper = _opened(upper, threads)
        self._sifts = _takes(self._upper, STAYS)
        self._states = lru_cache(KEPT)(self._lower_states)

    def run(self, question: Sequence[int], passage: Sequence[int]) -> Outputs:
        sides = self._states(tuple(question), 0), self._states(tuple(passage), PASSAGE_PLACE)
        states = np.concatenate([values * scale for values, scale in sides])[None]
        inputs = {EMBEDDINGS: states}
        if self._sifts:
            stays = np.ones(states.shape[1], np.bool_)
            stays[len(question) + 1 : -1] = False
            inputs[STAYS] = stays
        logits: Outputs = self._upper.run([OUTPUT], inputs)[0][0]
        return logits

    def prepare(self, passage: Sequence[int]) -> None:
        self._states(tuple(passage), PASSAGE_PLACE)

    def _lower_states(
        self, row: tuple[int, ...], place: int
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
        """int8[t, h] and its scales float32[h], since channels differ most."""
        (states,) = self._lower.run([row], place)
        scale = np.maximum(np.abs(states).max(0), 1e-8) / np.float32(127)
        return np.round(states / scale).astype(np.int8), scale


def _opened(graph: Path, threads: int) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    # Threads that wait for the next run must not take the core from the other model's.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Memory goes back after each run: 17 MB less for each model, in the same time.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 3
    # What is worth fusing is so in the graph. ONNX Runtime's fused norm of a sum takes two to three
    # times as long as both one after the other.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _takes(session: InferenceSession, name: str) -> bool:
    return any(node.name == name for node in session.get_inputs())


@contextmanager
def _damage(graph: Path) -> Iterator[None]:
    """ModelError for whatever goes wrong when models are opened."""
    try:
        yield
    except Exception as error:  # ONNX Runtime's own are of no common kind
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"the converted model in {graph.parent} cannot be loaded ({reason}): delete that "
            "folder and start again, it is made anew"
        ) from error
