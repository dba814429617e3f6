"""How building and retrieval grow: ``python -m xhqa_eval.scale VECTORS --chunks N…``.

Real embeddings, jittered to as many as are asked for, stand for what the encoder would give, which
costs the same for each passage; all else is the real thing. The words of the texts are drawn by the
frequencies in jieba's dictionary.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from xhqa.encode import Parts, Vectors
from xhqa.index import Change, Entry, build, open_index
from xhqa.retrieve import retrieve
from xhqa.segment import frequencies
from xhqa.store import VECTORS, ExactStore
from xhqa.types import Document

from .metrics import percentile
from .plots import growth_plot

_WORDS = 60
_ASKED_WORDS = 8
_QUESTIONS = 200
_AT_ONCE = 10_000
# The length of what is added to a unit vector, whose direction is drawn: cosine 0.89 to the origin.
_JITTER = 0.5

Figures = dict[str, Any]


class JitteredEncoder:
    """Gives every text a real embedding, chosen and jittered by the text's hash."""

    name = "jittered"
    fingerprint = "jittered-1"
    max_tokens = 512

    def __init__(self, path: Path) -> None:
        """``path``: float32[m, d] of unit vectors in a ``.npy`` file, as in an index."""
        self._real = np.load(path, allow_pickle=False)
        self.dimension = int(self._real.shape[1])

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self.encode_passages(texts)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        made = np.empty((len(texts), self.dimension), np.float32)
        for row, text in zip(made, texts, strict=True):
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
            rng = np.random.default_rng(seed)
            row[:] = rng.standard_normal(self.dimension, np.float32)
            row *= _JITTER / np.linalg.norm(row)
            row += self._real[rng.integers(len(self._real))]
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        return made

    def encode_parts(
        self, texts: Sequence[str], parts: Sequence[Parts]
    ) -> tuple[Vectors, list[Vectors]]:
        whole = self.encode_passages(texts)
        return whole, [np.repeat(row[None], len(p), 0) for row, p in zip(whole, parts, strict=True)]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]


def texts(count: int, words: int, seed: int) -> list[str]:
    """``count`` texts of ``words`` words each, in sentences of 20."""
    counts = frequencies()
    names, weights = np.array(list(counts)), np.array(list(counts.values()), float)
    drawn = np.random.default_rng(seed + 1).choice(
        len(names), (count, words), p=weights / weights.sum()
    )
    return [
        "".join("".join(row[at : at + 20]) + "。" for at in range(0, words, 20))
        for row in names[drawn]
    ]


def entries(count: int) -> Iterator[Entry]:
    """``count`` documents of one passage each, made as they are asked for."""
    for at in range(0, count, _AT_ONCE):
        for number, text in enumerate(texts(min(_AT_ONCE, count - at), _WORDS, at), at):
            yield Entry(
                Document(
                    id=str(number),
                    title="",
                    text=text,
                    source_name=f"{number}.txt",
                    sha256=hashlib.sha256(text.encode()).hexdigest(),
                    media_type="text/plain",
                )
            )


def measure_build(folder: Path, vectors: Path, chunks: int) -> Figures:
    """Build an index of ``chunks`` passages, a document each, in ``folder``."""
    change = Change(entries(chunks), expected=chunks)
    began = time.perf_counter()
    index = build(folder, lambda _: change, JitteredEncoder(vectors))
    return {
        "chunks": len(index),
        "kind": index.manifest["vectors"],
        "build_s": time.perf_counter() - began,
        "disk_mb": sum(p.stat().st_size for p in index.folder.rglob("*") if p.is_file()) / 1e6,
        "build_peak_rss_mb": _peak_rss_mb(),
    }


def measure_retrieval(folder: Path, vectors: Path) -> Figures:
    """Open the index in ``folder`` and ask it on one core; recall@10 is that of its store."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    encoder = JitteredEncoder(vectors)
    began = time.perf_counter()
    index = open_index(folder, encoder)
    opened = time.perf_counter() - began
    questions = texts(_QUESTIONS, _ASKED_WORDS, -1)
    asked = encoder.encode_queries(questions)
    retrieve(index, questions[0], asked[0], 5)  # what is loaded once is part of a running server
    times = []
    for question, vector in zip(questions, asked, strict=True):
        began = time.perf_counter()
        retrieve(index, question, vector, 5)
        times.append((time.perf_counter() - began) * 1000)
    peak = _peak_rss_mb()
    exact = ExactStore(np.load(index.folder / VECTORS, mmap_mode="r"))
    held = [
        len(set(index.store.search(v, 10)[0].tolist()) & set(exact.search(v, 10)[0].tolist()))
        for v in asked
    ]
    return {
        "open_s": opened,
        "retrieve_p50_ms": percentile(times, 50),
        "retrieve_p95_ms": percentile(times, 95),
        "recall_at_10": sum(held) / (10 * len(held)),
        "peak_rss_mb": peak,
    }


def _peak_rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _apart(measure: Callable[..., Figures], *arguments: Any) -> Figures:
    """In a process of its own, whose memory is its alone."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m xhqa_eval.scale", description=__doc__)
    parser.add_argument("vectors", type=Path, help="real embeddings: an index's vectors.npy")
    parser.add_argument("--chunks", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path, help="where the index is made, for a while")
    parser.add_argument(
        "--figures", type=Path, help="a file that the figures are added to; beside it their plot"
    )
    arguments = parser.parse_args()
    for chunks in arguments.chunks:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name)
            figures = _apart(measure_build, folder, arguments.vectors, chunks)
            figures |= _apart(measure_retrieval, folder, arguments.vectors)
        print(json.dumps(figures), flush=True)
        if arguments.figures:
            with arguments.figures.open("a") as file:
                file.write(json.dumps(figures) + "\n")
            arguments.figures.with_suffix(".svg").write_text(plot(arguments.figures), "utf-8")


def plot(file: Path) -> str:
    """All figures in ``file``, one line of JSON each, over the number of passages."""
    rows = sorted(map(json.loads, file.read_text().splitlines()), key=lambda row: row["chunks"])
    return growth_plot(
        "Time and memory by number of passages",
        ("passages", "see the names"),
        {name: [(row["chunks"], row[field]) for row in rows] for field, name in _SHOWN.items()},
    )


_SHOWN = {
    "build_s": "build, s",
    "disk_mb": "disk, MB",
    "build_peak_rss_mb": "memory to build, MB",
    "peak_rss_mb": "memory to ask, MB",
    "retrieve_p95_ms": "retrieval p95, ms",
}


if __name__ == "__main__":
    main()
