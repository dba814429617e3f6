"""Memory while a process starts."""

from __future__ import annotations

import ctypes
import gc
import platform
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection: importing the models' libraries makes hundreds of thousands of
    objects that all stay, and going through them again and again takes a sixth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def give_back() -> None:
    """Gives memory that was needed only for loading back to the system, where the C library is
    glibc, which keeps it otherwise: 30 MB."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
