"""What an index is asked to become."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
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
    """``put`` comes in, read one after the other and in place of what has the same id. Of what else
    is there goes what is in ``remove`` and, where ``keep`` is given, what it does not want.
    ``expected``: how many ``put`` may have."""

    put: Iterable[Entry] = ()
    remove: Collection[str] = ()
    keep: Callable[[Held], bool] | None = None
    expected: int = 0

    def keeps(self, held: Held) -> bool:
        """Whether a document stays that is not replaced."""
        return held.id not in self.remove and (self.keep is None or self.keep(held))


# What an index is to become, told what it holds by id.
Changing = Callable[[Mapping[str, Held]], Change]
