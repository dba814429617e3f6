"""Running the product as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def xhqa(
    *arguments: str, index_dir: Path, timeout: float = 300, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own, from the repository's root, for at most ``timeout``
    seconds."""
    return subprocess.run(
        [sys.executable, "-m", "xhqa.cli", *arguments],
        cwd=ROOT,
        env=os.environ | {"XHQA_INDEX_DIR": str(index_dir)} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
