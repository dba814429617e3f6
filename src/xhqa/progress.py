"""Progress of long work on standard error."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from tqdm import tqdm


class Bar:
    """Called with stage, number done, total and a note; shows nothing before the first call."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        bar = self._bar
        if bar is None or stage != self._stage:
            self.close()
            bar = tqdm(total=total, desc=stage, file=sys.stderr, leave=False)
            self._bar, self._stage = bar, stage
        bar.set_postfix_str(note, refresh=False)
        bar.update(done - bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
