"""Where an index is: a folder, or a Milvus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from xhqa.config import Settings
from xhqa.encode import Encoder
from xhqa.index.build import build
from xhqa.index.change import Changing, Progress, silent
from xhqa.index.generation import exists, open_index
from xhqa.index.protocol import Index


class Corpus(Protocol):
    """An index that can be opened and changed."""

    # Where it is, for messages.
    place: str

    def exists(self) -> bool: ...

    def open(self, encoder: Encoder) -> Index:
        """Raises NotFoundError without an index, IndexDamagedError where it is not as it should
        be or another encoder's."""

    def change(
        self,
        change: Changing,
        encoder: Encoder,
        progress: Progress = silent,
        *,
        over_damage: bool = False,
    ) -> Index:
        """Make the index what ``change`` says of what it holds; as ``xhqa.index.build``."""


class Folder:
    """Generations in a folder, for one process that writes."""

    def __init__(self, settings: Settings) -> None:
        self._index_dir = settings.index_dir
        self.place = str(settings.index_dir)

    def exists(self) -> bool:
        return exists(self._index_dir)

    def open(self, encoder: Encoder) -> Index:
        return open_index(self._index_dir, encoder)

    def change(
        self,
        change: Changing,
        encoder: Encoder,
        progress: Progress = silent,
        *,
        over_damage: bool = False,
    ) -> Index:
        return build(self._index_dir, change, encoder, progress, over_damage=over_damage)


def _milvus(settings: Settings) -> Corpus:
    from xhqa.index.milvus import Milvus

    return Milvus(settings)


CORPORA: dict[str, Callable[[Settings], Corpus]] = {"faiss": Folder, "milvus": _milvus}


def corpus_of(settings: Settings) -> Corpus:
    """The index that the settings name."""
    return CORPORA[settings.store](settings)
