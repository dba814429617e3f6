"""What every index makes of a document: its chunks, what is embedded of them, in which form."""

from __future__ import annotations

import numpy as np

from xhqa.background import QUESTIONS
from xhqa.encode import Encoder
from xhqa.load import repair
from xhqa.split import split
from xhqa.store import Vectors
from xhqa.types import Chunk, Document

MAX_CHUNK_TOKENS = 256


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
