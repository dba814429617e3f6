"""Fixtures that need no model."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest
from support import HashEncoder

from xhqa.config import Settings
from xhqa.ingest import build_index
from xhqa.pipeline import Pipeline

ARTICLE = Path(__file__).parent.parent / "corpus" / "xuhui-five-years.txt"


def pytest_collection_finish() -> None:
    # What is imported by now stays, and word lists of 350,000 entries come: to look through all of
    # that for garbage again and again takes an eighth of the suite's time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


@pytest.fixture
def encoder() -> HashEncoder:
    return HashEncoder()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(index_dir=tmp_path / "index", min_confidence=0.0)


@pytest.fixture
def make_pipeline(
    tmp_path: Path, settings: Settings, encoder: HashEncoder
) -> Callable[[dict[str, str | bytes]], Pipeline]:
    """A pipeline over files given by name and content."""

    def make(contents: dict[str, str | bytes]) -> Pipeline:
        folder = tmp_path / "documents"
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        index, _ = build_index([folder], encoder, settings)
        return Pipeline(index, encoder, settings)

    return make


@pytest.fixture(scope="session")
def article_bytes() -> bytes:
    return ARTICLE.read_bytes()
