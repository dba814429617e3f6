"""What an index is asked to become."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from xhqa.types import Document

# Told the stage, the number done and the total.
Progress = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Entry:
    """A document to be in the index; ``uploaded`` ones outlive a rebuild from a folder."""

    document: Document
    uploaded: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What an index says of a document it holds, without reading it."""

    id: str
    source_name: str
    sha256: str
    uploaded: bool


@dataclass(frozen=True, slots=True)
class Change:
    """``put`` comes in, read one after the other and in place of what has the same id; of what
    else is there stays what ``keep`` says. ``expected``: how many ``put`` may have."""

    put: Iterable[Entry] = ()
    keep: Callable[[Held], bool] = lambda held: True
    expected: int = 0
