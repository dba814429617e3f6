"""What this machine's processor can do."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1)
def has_bfloat16() -> bool:
    """Whether it multiplies bfloat16 in hardware: twice as fast as float32, where software would
    be a hundred times slower."""
    import torch

    return bool(
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and torch.cpu._is_avx512_bf16_supported()
    )
