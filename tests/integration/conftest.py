"""The product as users have it: the bundled models, a real server process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration_support import ROOT, xhqa


@pytest.fixture(scope="session")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of ``corpus/`` by the bundled model."""
    folder = tmp_path_factory.mktemp("served") / "index"
    run = xhqa("index", index_dir=folder)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="session")
def server(index_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of ``xhqa serve``."""
    log = tmp_path_factory.mktemp("log") / "server.log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "xhqa.cli", "serve", "--port", str(port)],
            cwd=ROOT,
            env=os.environ | {"XHQA_INDEX_DIR": str(index_dir)},
            stderr=said,
        )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{address}/health/ready", timeout=5):
                    break
            except urllib.error.HTTPError as error:
                error.close()
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "not ready in time"
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)
