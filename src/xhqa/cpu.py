"""What this machine's processor can do."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path

# The CPU time that a container may take, in microseconds a period ("max": all): cgroup 2.
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """The cores that this process may use: those of its affinity mask (``taskset``), no more than
    its container's share of CPU time, or as many as ``OMP_NUM_THREADS`` says."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota, _, period = _QUOTA.read_text("utf-8").partition(" ") if _QUOTA.exists() else ("", "", "")
    return min(cores, max(1, int(quota) // int(period))) if quota.isdecimal() else cores


def has_vnni() -> bool:
    """Whether it multiplies int8 and adds up at once, as x86 processors with VNNI do. Only Linux
    tells."""
    said = Path("/proc/cpuinfo")
    flags = said.read_text("utf-8", "replace").split() if said.exists() else []
    return "avx512_vnni" in flags or "avx_vnni" in flags


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
