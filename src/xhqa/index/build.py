"""Making a new generation the current one."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from xhqa.encode import Encoder
from xhqa.errors import BusyError
from xhqa.index.cache import EmbeddingCache
from xhqa.index.change import Changing, Progress, silent
from xhqa.index.generation import Generation, open_index
from xhqa.index.previous import Previous
from xhqa.index.writer import Writer, sync

# How the names of generations begin that could not be read, and are kept.
_ASIDE = "unread-"

logger = logging.getLogger(__name__)


def build(
    index_dir: Path,
    change: Changing,
    encoder: Encoder,
    progress: Progress = silent,
    *,
    over_damage: bool = False,
) -> Generation:
    """Write a new generation and make it the current one.

    ``change`` gets what the current index holds and returns what becomes of it. Unchanged
    documents keep their chunks and, under the same encoder, their vectors; what an interrupted
    build had embedded is not embedded again. ``progress`` is told stage, number done and total.
    Raises BusyError where another process is building, InputError for two documents of one id,
    and IndexDamagedError where the current index's documents cannot be read, unless
    ``over_damage`` allows to start from none.
    """
    from filelock import FileLock, Timeout

    generations = index_dir / "generations"
    generations.mkdir(parents=True, exist_ok=True)
    lock = FileLock(index_dir / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BusyError(
            f"another process is writing {index_dir}: try again when it is done"
        ) from error
    try:
        _clear(generations)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=generations))
        cache = EmbeddingCache(index_dir / "embeddings.sqlite", encoder)
        with closing(cache), closing(Previous.of(index_dir, encoder, over_damage)) as old:
            writer = Writer(work, old, encoder, cache, progress)
            with closing(writer.database):
                manifest_sha256 = writer.write(change(old.held))
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}-{manifest_sha256[:8]}"
        progress("switch", 0, 2)
        os.replace(work, generations / name)
        sync(generations)
        progress("switch", 1, 2)
        before = _current_name(index_dir)
        _swap(index_dir, name, manifest_sha256)
        cache.remove()
        for folder in generations.iterdir():
            if folder.name == name or folder.name.startswith((".", _ASIDE)):
                continue
            if old.unread:
                _keep_aside(folder)
            # The one before stays until the next build: somebody may be opening it.
            elif folder.name != before:
                shutil.rmtree(folder, ignore_errors=True)
        progress("switch", 2, 2)
        return open_index(index_dir, encoder)
    finally:
        # Where it failed for want of room, what it wrote must not go on taking it.
        _clear(generations)
        lock.release()


def _keep_aside(folder: Path) -> None:
    """What was uploaded to an index that cannot be read is in no other place."""
    aside = folder.with_name(_ASIDE + folder.name)
    os.replace(folder, aside)
    logger.warning(
        "the index before could not be read: what was uploaded to it is not in this one. "
        "Upload it again; the old files are kept in %s, delete them when you are done",
        aside,
    )


def _clear(generations: Path) -> None:
    for leftover in generations.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _current_name(index_dir: Path) -> str | None:
    """The name in CURRENT, whether or not it can be opened."""
    try:
        return str(json.loads((index_dir / "CURRENT").read_text("utf-8"))["generation"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _swap(index_dir: Path, name: str, manifest_sha256: str) -> None:
    pointer = index_dir / "CURRENT"
    fresh = index_dir / "CURRENT.new"
    fresh.write_text(
        json.dumps({"generation": name, "manifest_sha256": manifest_sha256}) + "\n", "utf-8"
    )
    sync(fresh)
    os.replace(fresh, pointer)
    sync(index_dir)
