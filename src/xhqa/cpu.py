"""What this machine's processor can do."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path


def usable_cores() -> int:
    """The cores that this process may use: those of its affinity mask (containers, ``taskset``),
    or as many as ``OMP_NUM_THREADS`` says."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted):
        return int(wanted)
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def questions_at_once() -> int:
    """How many questions a server had best answer at once: one on each core with VNNI, the fused
    int8 products of x86 processors, where a core alone is quick; otherwise one on all cores."""
    fused = {"avx512_vnni", "avx_vnni"} & set(_flags())
    return usable_cores() if fused else 1


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


def _flags() -> list[str]:
    """What the processor has, in Linux's words; other systems say it in no file."""
    said = Path("/proc/cpuinfo")
    return said.read_text("utf-8", "replace").split() if said.exists() else []
