"""Bulk embedding on a Ray of this machine: the same index as without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from xhqa.bulk import RayLoader
from xhqa.config import Settings, load_settings
from xhqa.encode import encoder_of
from xhqa.index.milvus import _connected
from xhqa.ingest import build_index

pytestmark = [
    pytest.mark.integration,
    # Its own of its own options.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    made = {"store": "milvus", "milvus_uri": str(tmp_path / "milvus.db")}
    yield load_settings().model_copy(update=made)
    _connected(made["milvus_uri"], "").close()
    _connected.cache_clear()


@pytest.fixture
def loader(settings: Settings) -> Iterator[RayLoader]:
    import ray

    yield RayLoader(encoder_of(settings), settings, "local")
    ray.shutdown()


def test_ray_makes_the_same_index(tmp_path: Path, settings: Settings, loader: RayLoader) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in ("甲", "乙", "丙"):
        text = (
            f"# {name}镇\n\n{name}镇的图书馆有三万册藏书。图书馆周一闭馆。\n\n## 人口\n\n五万人。"
        )
        (folder / f"{name}.md").write_text(text, "utf-8")
    (folder / "坏.pdf").write_bytes(b"no PDF")

    inner = loader.encoder._encoder
    loader.encoder._encoder = _Idle(inner)  # type: ignore[assignment]
    index, refused = build_index([folder], loader.encoder, settings, loader=loader)
    assert len(refused) == 1
    assert "坏.pdf" in refused[0]
    local = settings.model_copy(update={"store": "faiss", "index_dir": tmp_path / "index"})
    expected, _ = build_index([folder], inner, local)
    assert index.documents() == expected.documents()
    for info in expected.documents():
        for one, other in zip(index.chunks(info.id), expected.chunks(info.id), strict=True):
            assert one.text == other.text
            here, there = index.sentence_vectors(one), expected.sentence_vectors(other)
            assert np.allclose(here, there, atol=2e-3)
    assert loader.encoder._known == {}

    # Nothing has changed: nothing is embedded.
    again, _ = build_index([folder], loader.encoder, settings, loader=loader)
    assert again.documents() == index.documents()


class _Idle:
    """The encoder of the process that writes: it counts tokens and embeds no passage."""

    def __init__(self, encoder: object) -> None:
        self._encoder = encoder

    def __getattr__(self, name: str) -> object:
        return getattr(self._encoder, name)

    def encode_parts(self, texts: list[str], parts: object) -> None:
        raise AssertionError("embedded here")
