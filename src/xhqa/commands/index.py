"""``xhqa index``: make the index hold what is in some files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xhqa.config import Settings
from xhqa.encode import Encoder, encoder_of
from xhqa.errors import InputError
from xhqa.ingest import build_index, load_files
from xhqa.progress import Bar

if TYPE_CHECKING:
    from xhqa.bulk import RayLoader


def index(
    paths: Sequence[Path], settings: Settings, ray: str | None, notify: Callable[[str], None]
) -> int:
    """Build on this machine, or on the Ray cluster at ``ray``; 1 where files were left out."""
    encoder = encoder_of(settings, notify)
    if ray is None:
        return build(paths, settings, encoder, notify)
    if settings.store != "milvus":
        raise InputError("--ray needs XHQA_STORE=milvus: an index in a folder is written by one")
    from xhqa.bulk import RayLoader

    loader = RayLoader(encoder, settings, ray)
    return build(paths, settings, loader.encoder, notify, loader)


def build(
    paths: Sequence[Path],
    settings: Settings,
    encoder: Encoder,
    notify: Callable[[str], None],
    loader: RayLoader | None = None,
) -> int:
    """Index ``paths`` with a progress bar; 1 where files were left out, each named to
    ``notify``."""
    with Bar() as progress:
        made, refused = build_index(paths, encoder, settings, progress, loader or load_files)
    for message in refused:
        notify(f"left out: {message}")
    notify(made.describe())
    return 1 if refused else 0
