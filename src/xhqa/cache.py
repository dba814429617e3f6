"""Folders of the cache: what is made once and kept, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from xhqa.errors import ModelError

_SIZES = "sizes.json"


def _nothing() -> None:
    pass


def cached(
    target: Path, write: Callable[[Path], None], before: Callable[[], None] = _nothing
) -> Path:
    """``target``, a folder of the cache, filled by ``write`` where it is not whole yet; ``before``
    is called before that. Raises ModelError where the cache cannot be written."""
    from filelock import FileLock

    if _is_whole(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f"{target.name}.lock")):
            if not _is_whole(target):
                shutil.rmtree(target, ignore_errors=True)
                before()
                work = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
                try:
                    folder = work / "made"
                    folder.mkdir()
                    write(folder)
                    _seal(folder)
                    os.replace(folder, target)
                finally:
                    shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise ModelError(
            f"cannot write the cache {target.parent} ({error.strerror or error}): "
            "free some space or set XHQA_CACHE_DIR to a folder you may write"
        ) from error
    return target


def _is_whole(folder: Path) -> bool:
    """Whether every file of a folder is there with its size: a cache outlives crashes."""
    try:
        sizes = json.loads((folder / _SIZES).read_text("utf-8"))
        if not (isinstance(sizes, dict) and sizes):
            return False
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _seal(folder: Path) -> None:
    """Bring the files to disk, and write down their sizes last."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    (folder / _SIZES).write_text(json.dumps(sizes, indent=1), "utf-8")
    for path in (*paths, folder / _SIZES):
        with path.open("r+b") as file:  # Windows syncs only what may be written
            os.fsync(file.fileno())
