"""What this machine's processor can do."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1)
def has_bfloat16() -> bool:
    """Whether it has tiles for bfloat16 (AMX): AVX512-BF16 alone is slower than float32 (measured:
    142 against 200 GFLOP/s), and software a hundred times slower."""
    import torch

    return bool(
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        and torch.cpu._is_amx_tile_supported()
    )
