"""A transformer on ONNX Runtime: token ids in, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from xhqa.blocks import dequantise
from xhqa.cpu import usable_cores
from xhqa.errors import ModelError
from xhqa.graph import EMBEDDINGS, MASK, OUTPUT, STAYS
from xhqa.tokenizer import END

Outputs = npt.NDArray[np.float32]

WORDS, PLACES = "words.npy", "places.npy"
_PAD = 1


class Network(Protocol):
    """What turns token ids into vectors or logits."""

    def run(self, rows: Sequence[Sequence[int]]) -> Outputs:
        """float32[b, t, n] for b rows, padded to the longest, of t tokens.

        A reader's may take one row at a time only, and give tokens that cannot begin or end an
        answer the logits ``xhqa.graph.SIFTED``.
        """


class Session:
    """A graph of ``xhqa.graph`` over the embeddings in a folder. Safe to use from several threads.

    The word embeddings are mapped from disk and both models' sessions share them.
    """

    def __init__(self, graph: Path, folder: Path, threads: int = 0) -> None:
        """``folder`` has ``words.npy``, uint8[v, ·], the word embeddings as 4-bit blocks, and
        ``places.npy``, float32[t, h], the sum of position and token type embeddings. ``threads``:
        0 for one a core that this process may use. Raises ModelError where a file is damaged."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        # Threads that wait for the next run must not take the core from the other model's.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # Memory goes back after each run: 17 MB less for each model, in the same time.
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
            self._words = np.load(folder / WORDS, mmap_mode="r")
            self._places = np.load(folder / PLACES)
        except Exception as error:  # ONNX Runtime's own are of no common kind
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"the converted model in {graph.parent} cannot be loaded ({reason}): delete that "
                "folder and start again, it is made anew"
            ) from error
        self._sifts = any(node.name == STAYS for node in self._session.get_inputs())

    def run(self, rows: Sequence[Sequence[int]]) -> Outputs:
        length = max(map(len, rows))
        ids = np.full((len(rows), length), _PAD)
        mask = np.zeros((len(rows), length), np.int32)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        words = dequantise(self._words[ids])
        inputs = {EMBEDDINGS: words + self._places[:length], MASK: mask}
        if self._sifts:
            (row,) = rows
            inputs[STAYS] = _stays(row)
        outputs: Outputs = self._session.run([OUTPUT], inputs)[0]
        return outputs


def _stays(row: Sequence[int]) -> npt.NDArray[np.bool_]:
    """bool[t]: whether a token of question and passage is not one of the passage's."""
    marks = np.array(row) == END
    stays: npt.NDArray[np.bool_] = marks.copy()
    # Two ends stand between them.
    stays[: int((marks[:-1] & marks[1:]).argmax()) + 2] = True
    return stays
