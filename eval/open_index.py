"""The paragraphs of a SQuAD-style file as an index, each a document of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from xhqa.encode import Encoder
from xhqa.index import Entry, Index, Progress, build
from xhqa.types import Document

from .squad import SquadParagraph


def index_paragraphs(
    index_dir: Path,
    paragraphs: Sequence[SquadParagraph],
    encoder: Encoder,
    progress: Progress = lambda stage, done, total: None,
) -> Index:
    """Build an index of ``paragraphs`` in ``index_dir``. They get no titles: a data set's titles
    often name the answer's subject, which plain files would not."""
    entries = [
        Entry(
            Document(
                id=paragraph.id,
                title="",
                text=paragraph.text,
                source_name=f"{paragraph.id}.txt",
                sha256=hashlib.sha256(paragraph.text.encode("utf-8")).hexdigest(),
                media_type="text/plain",
            )
        )
        for paragraph in paragraphs
    ]
    return build(index_dir, lambda _: entries, encoder, progress)
