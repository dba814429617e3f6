"""Texts → unit vectors."""

from __future__ import annotations

from collections.abc import Callable

from xhqa.config import Settings
from xhqa.encode.protocol import Encoder, Parts, Vectors

__all__ = ["Encoder", "Parts", "Vectors", "encoder_of"]


def encoder_of(settings: Settings, notify: Callable[[str], None] = lambda message: None) -> Encoder:
    """The encoder that the settings name: ``bundled``, a folder or a hub name.

    Raises ModelError where it cannot be loaded or needs code of its own.
    """
    if settings.encoder == "bundled" and settings.runtime == "onnx":
        from xhqa.encode.bundled import BundledEncoder

        return BundledEncoder.load(settings.cache_dir, settings.threads, notify)
    from xhqa.encode import sentence_transformer

    if settings.threads:
        import torch

        torch.set_num_threads(settings.threads)
    if settings.encoder == "bundled":
        return sentence_transformer.load_bundled(settings.cache_dir, notify)
    return sentence_transformer.load(settings.encoder)
