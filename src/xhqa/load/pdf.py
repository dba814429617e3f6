"""PDF → text, pages and headings, read in a process of its own.

A PDF is a program for a printer, and the library that reads it is written in C++: what a hostile
or damaged file makes it do (use all memory, never end, crash) ends with that process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from xhqa.errors import InputError
from xhqa.load.extracted import Extracted, clean, refuse_too_long
from xhqa.types import Heading

_PATIENCE_S = 600
_WORKER = "xhqa.load.pdf_worker"


def extract_pdf(data: bytes, name: str) -> Extracted:
    """Raises InputError for a scan, and for a file that is broken, protected or too large."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        run = subprocess.run(
            [sys.executable, "-P", "-m", _WORKER],
            input=data,
            capture_output=True,
            timeout=_PATIENCE_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(_too_much(name)) from error
    try:
        found = json.loads(run.stdout)
    except ValueError as error:
        raise InputError(_too_much(name)) from error
    if "problem" in found:
        raise InputError(f"{name} {found['problem']}")
    text = clean(found["text"])
    refuse_too_long(len(text), name)
    return Extracted(
        text,
        tuple(Heading(*heading) for heading in found["headings"]),
        tuple(found["pages"]),
        found["title"],
    )


def _too_much(name: str) -> str:
    return f"{name} is broken or too much to read: print it to a new PDF, or split it"
