"""The bundled model on ONNX Runtime, in int8: nearly the vectors of its sentence-transformers form,
without torch.

A test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt

from xhqa import bundle
from xhqa.cpu import usable_cores
from xhqa.encode.protocol import Parts, Vectors, add_context, by_text, parts_of
from xhqa.session import Network, Outputs, Session
from xhqa.tokenizer import BEGIN, END, Tokenizer, load_tokenizer

_QUERY, _PASSAGE = "query: ", "passage: "
# Tokens that go through the network at once: more leave the processor's cache.
_TOKENS = 1024


class BundledEncoder:
    """Mean of the last layer's vectors, brought to unit length (Wang et al. 2024, "Multilingual
    E5"); texts are cut off at 512 tokens."""

    name = bundle.NAME
    fingerprint = bundle.FINGERPRINT
    dimension = 384
    max_tokens = 512

    def __init__(self, network: Network, tokenizer: Tokenizer, at_once: int = 1) -> None:
        """Of many texts ``at_once`` batches go through the network at a time."""
        self._network = network
        self._tokenizer = tokenizer
        self._at_once = at_once

    @classmethod
    def load(
        cls, cache_dir: Path, threads: int = 0, notify: Callable[[str], None] = lambda message: None
    ) -> BundledEncoder:
        """Raises ModelError; the first time the model is converted, which ``notify`` is told.

        Where ``threads`` leaves cores over, batches of documents share them.
        """
        folder = bundle.runtime(cache_dir, notify)
        session = Session(folder / bundle.ENCODER, folder, threads)
        at_once = max(1, usable_cores() // threads) if threads else 1
        return cls(session, load_tokenizer(folder), at_once)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encode([_QUERY + text for text in texts])

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        return self._encode([_PASSAGE + text for text in texts])

    def encode_parts(
        self, texts: Sequence[str], parts: Sequence[Parts]
    ) -> tuple[Vectors, list[Vectors]]:
        own = by_text(self.encode_passages(parts_of(texts, parts)), parts)
        encodings = [self._tokenizer.encode(_PASSAGE + text) for text in texts]
        whole = np.zeros((len(texts), self.dimension), np.float32)
        for row, states in self._states([encoding.ids for encoding in encodings]):
            whole[row] = _unit(states.mean(axis=0))
            inner = states[1:-1]
            ends = [end - len(_PASSAGE) for _, end in encodings[row].offsets[: len(inner)]]
            add_context(own[row], parts[row], inner, ends)
        return whole, own

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [self._tokenizer.count(text) for text in texts]

    def _encode(self, prompted: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(prompted), self.dimension), np.float32)
        for row, states in self._states([self._tokenizer.encode(t).ids for t in prompted]):
            vectors[row] = _unit(states.mean(axis=0))
        return vectors

    def _states(
        self, texts: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """(row, float32[t, dimension]) for each text's tokens between <s> and </s>, the short ones
        first: texts of about one length share a batch."""
        rows = [[BEGIN, *ids[: self.max_tokens - 2], END] for ids in texts]
        batches: list[list[int]] = []
        for number in sorted(range(len(rows)), key=lambda n: len(rows[n])):
            if batches and len(rows[number]) * (len(batches[-1]) + 1) <= _TOKENS:
                batches[-1].append(number)
            else:
                batches.append([number])

        def run(batch: list[int]) -> Outputs:
            return self._network.run([rows[n] for n in batch])

        pool = ThreadPoolExecutor(self._at_once) if len(batches) > 1 and self._at_once > 1 else None
        with pool or nullcontext():
            found = pool.map(run, batches) if pool else map(run, batches)
            for batch, states in zip(batches, found, strict=True):
                yield from ((n, states[i, : len(rows[n])]) for i, n in enumerate(batch))


def _unit(vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    length: npt.NDArray[np.float32] = vector / np.linalg.norm(vector)
    return length
