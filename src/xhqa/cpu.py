"""What this machine's processor can do."""

from __future__ import annotations

import os
import sys
import time
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


def has_bfloat16() -> bool:
    """Whether it multiplies bfloat16 itself: software is a hundred times slower."""
    import torch

    return bool(
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


@lru_cache(maxsize=1)
def faster_in_bfloat16() -> bool:
    """Whether torch multiplies matrices in bfloat16 faster than in float32. No flag tells: of two
    processors with AVX512-BF16 one took 1.4 times as long, the other 0.45 times. The first call
    measures it, in some hundredths of a second."""
    import torch

    if not has_bfloat16():
        return False

    def seconds(dtype: torch.dtype) -> float:
        left, right = torch.ones(512, 384, dtype=dtype), torch.ones(768, 384, dtype=dtype)
        taken = []
        for _ in range(5):
            began = time.perf_counter()
            torch.nn.functional.linear(left, right)
            taken.append(time.perf_counter() - began)
        return min(taken)

    return seconds(torch.bfloat16) < seconds(torch.float32)
