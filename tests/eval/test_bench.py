from __future__ import annotations

import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from xhqa_eval.bench import (
    Reply,
    _asking,
    _environment,
    format_bench,
    latency,
    memory_mb,
    plot,
    run_bench,
    throughput,
)

from xhqa.config import Settings
from xhqa.errors import NotFoundError, XhqaError


def answering(question: str) -> Reply:
    """Takes 4 ms for 一 and 20 ms for others, half of it spent reading."""
    took = 4.0 if question == "一" else 20.0
    return Reply({"retrieve": took / 4, "read": took / 2, "total": took * 0.75}, took)


def test_latency_tells_stages_from_what_is_around_them() -> None:
    found = latency(answering, ["一", "二", "三"], rounds=2)
    assert found["questions"] == 6
    assert found["stages_p50_ms"]["retrieve"] == pytest.approx(5.0)
    assert found["stages_p50_ms"]["read"] == pytest.approx(10.0)
    assert found["stages_p50_ms"]["total"] == pytest.approx(15.0)
    assert found["p50_ms"] == found["p95_ms"] == pytest.approx(20.0)
    assert found["stages_p50_ms"]["http"] == pytest.approx(5.0)


def test_throughput_keeps_all_clients_at_work() -> None:
    together = threading.Barrier(4, timeout=20)
    asked: list[float] = []

    def ask(question: str) -> Reply:
        asked.append(time.perf_counter())
        together.wait()  # passes only where four ask at once
        time.sleep(0.02)
        return Reply({}, 7.0, refused=2)

    found = throughput(ask, ["一", "二", "三"], clients=4, seconds=0.5)
    rounds = len(asked) // 4
    # Neither while clients settle, a fifth of the time before, nor after the end.
    assert 0.6 * rounds <= found["questions_per_s"] * 0.5 / 4 < rounds - 1
    assert (found["clients"], found["p50_ms"], found["p95_ms"]) == (4, 7.0, 7.0)
    assert found["turned_away"] >= 2 * found["questions_per_s"] * 0.5 + 2 * 4, "late ones too"


def test_every_question_is_asked_in_turn() -> None:
    asked: list[str] = []

    def ask(question: str) -> Reply:
        asked.append(question)
        time.sleep(0.01)
        return Reply({}, 10.0)

    throughput(ask, ["一", "二", "三"], clients=1, seconds=0.2)
    assert len(asked) > 6
    assert asked[:6] == ["一", "二", "三"] * 2


def test_a_server_that_answers_nothing_in_time_is_said_so() -> None:
    def slowly(question: str) -> Reply:
        time.sleep(0.2)
        return answering(question)

    with pytest.raises(XhqaError, match=r"no question was answered within 0\.1 s, 2 at once"):
        throughput(slowly, ["一"], clients=2, seconds=0.1)


def test_its_own_server_is_asked_without_keys_and_proxies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XHQA_API_KEYS", "ask:a-long-enough-secret")
    assert _environment(Settings(index_dir=tmp_path))["XHQA_API_KEYS"] == ""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"timings_ms": {"total": 3.0}}')

    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        reply = _asking(f"http://127.0.0.1:{server.server_port}")("甲？")
    assert reply.stages_ms == {"total": 3.0}


def test_memory_is_that_of_the_process() -> None:
    now, peak = memory_mb(os.getpid(), "VmRSS"), memory_mb(os.getpid(), "VmHWM")
    if Path("/proc/self/status").exists():
        assert now is not None
        assert peak is not None
        assert 20 < now <= peak < 100_000
    assert memory_mb(2**30, "VmRSS") is None


def test_the_plot_has_a_line_for_each_figure() -> None:
    rows = [
        {"clients": clients, "questions_per_s": 2.0, "p50_ms": 500.0, "p95_ms": 900.0 * clients}
        for clients in (1, 4)
    ]
    drawn = plot({"throughput": rows})
    assert drawn.startswith("<svg xmlns=")
    assert drawn.count('class="curve"') == 3
    assert "questions a second" in drawn


def test_nothing_is_measured_without_an_index(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="xhqa index"):
        run_bench(Settings(index_dir=tmp_path / "none"), None, 1, 1, [1])


def test_the_table_has_every_figure() -> None:
    table = format_bench(
        {
            "latency": {"p50_ms": 21.4, "p95_ms": 40.6, "stages_p50_ms": {"read": 10.04}},
            "throughput": [
                {"clients": 8, "questions_per_s": 3.456, "p50_ms": 1, "p95_ms": 2, "turned_away": 5}
            ],
            "start_up": {"help_s": 0.1, "ask_s": 2.345, "server_ready_s": 3.0, "page_s": 8.0},
            "indexing": {"chunks_per_s": 12.34, "tokens_per_s": 2000.4},
            "server_rss_mb": 612.4,
            "server_peak_rss_mb": None,
        }
    )
    assert "one client, p50 / p95  21 / 41 ms" in table
    assert "  read, p50            10.0 ms" in table
    assert "8 clients              3.46 questions/s, 1 / 2 ms, 5 turned away" in table
    assert "xhqa ask               2.35 s" in table or "xhqa ask               2.34 s" in table
    assert "12.3 passages/s, 2000 tokens/s" in table
    assert "server's memory        612 MB" in table
    assert table.endswith("unknown here")
