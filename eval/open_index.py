"""The paragraphs of a SQuAD-style file as an index, each a document of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from xhqa.config import Settings
from xhqa.encode import Encoder
from xhqa.index import Change, Entry, Progress, corpus_of
from xhqa.types import Document

from .squad import SquadParagraph


def index_paragraphs(
    squad: Path,
    paragraphs: Sequence[SquadParagraph],
    encoder: Encoder,
    settings: Settings,
    progress: Progress = lambda stage, done, total: None,
) -> Settings:
    """Index ``paragraphs`` of the file ``squad``; return the settings that name that index.

    It is kept in the cache folder, so that asking the same file again embeds nothing. The
    documents get no titles: a data set's titles often name the answer's subject, which plain
    files would not.
    """
    digest = hashlib.sha256(str(squad.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    index_dir = settings.cache_dir / "eval" / f"{squad.stem[:40]}-{digest[:12]}-{settings.runtime}"
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
    change = Change(entries, keep=lambda held: False, expected=len(entries))
    apart = {"index_dir": index_dir, "milvus_prefix": f"xhqa_eval_{digest[:12]}_{settings.runtime}"}
    settings = settings.model_copy(update=apart)
    corpus_of(settings).change(lambda held: change, encoder, progress, over_damage=True)
    return settings
