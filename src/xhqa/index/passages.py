"""What every index makes of a document: its chunks, what is embedded of them, in which form."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xhqa.background import QUESTIONS
from xhqa.encode import Encoder, Parts
from xhqa.load import repair
from xhqa.split import split
from xhqa.store import Vectors
from xhqa.types import Chunk, Document

MAX_CHUNK_TOKENS = 256
# Passages that are embedded together.
BATCH = 32


def chunks_of(document: Document, encoder: Encoder) -> list[Chunk]:
    """The document's passages, each short enough for the encoder."""
    # Room for the prompt and the heading path, which go with a chunk.
    longest = min(MAX_CHUNK_TOKENS, max(encoder.max_tokens // 2, encoder.max_tokens - 64))
    return split(document, repair(document), encoder.count_tokens, longest)


def embedding_text(title: str, chunk: Chunk) -> str:
    """What the encoder gets of a chunk: document title and heading path, then the text."""
    heading = " / ".join(dict.fromkeys(part for part in (title, *chunk.section_path)))
    return f"{heading}\n{chunk.text}" if heading else chunk.text


def sentences_in(text: str, chunk: Chunk) -> list[tuple[int, int]]:
    """Where the chunk's sentences stand in its embedding text."""
    before = len(text) - len(chunk.text)
    return [(before + start, before + end) for start, end in chunk.sentences]


def encoded(
    encoder: Encoder, texts: Sequence[str], parts: Sequence[Parts]
) -> list[tuple[Vectors, Vectors]]:
    """For each of ``texts`` its vector float32[d] and those of its ``parts``, float32[n, d]."""
    # Longest first: batches of one length.
    order = sorted(range(len(texts)), key=lambda n: -len(texts[n]))
    made: dict[int, tuple[Vectors, Vectors]] = {}
    for at in range(0, len(order), BATCH):
        batch = order[at : at + BATCH]
        vectors, rows = encoder.encode_parts([texts[n] for n in batch], [parts[n] for n in batch])
        made |= dict(zip(batch, zip(vectors, rows, strict=True), strict=True))
    return [made[n] for n in range(len(texts))]


def question_means(encoder: Encoder) -> dict[str, Vectors]:
    """By script, the mean vector float32[d] of ordinary questions."""
    return {
        script: encoder.encode_queries(questions).mean(axis=0)
        for script, questions in QUESTIONS.items()
    }


def half(vectors: Vectors) -> bytes:
    """Sentence vectors in the half precision in which they are kept."""
    return vectors.astype(np.float16).tobytes()


def whole(stored: bytes, count: int) -> Vectors:
    """``count`` vectors float32[count, d] out of what ``half`` made."""
    return np.frombuffer(stored, np.float16).astype(np.float32).reshape(count, -1)
