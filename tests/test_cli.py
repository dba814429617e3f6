from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import HashEncoder

from xhqa import cli, encode, pipeline
from xhqa.api.keys import parse_keys
from xhqa.commands import index
from xhqa.commands.serve import bound, refuse_open_door
from xhqa.config import Settings
from xhqa.errors import InputError
from xhqa.types import Answer, Citation, Passage


@pytest.fixture(autouse=True)
def without_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    encoder = HashEncoder()

    def encoder_of(settings: Settings, notify: Callable[[str], None] = print) -> HashEncoder:
        return encoder

    for module in (encode, index, pipeline):
        monkeypatch.setattr(module, "encoder_of", encoder_of)
    monkeypatch.setenv("XHQA_INDEX_DIR", str(tmp_path / "index"))
    monkeypatch.setenv("XHQA_READER", "sentence")
    monkeypatch.setenv("XHQA_MIN_CONFIDENCE", "0")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "乙.txt").write_text("乙村种植水稻。乙村的学校建于1952年。")
    monkeypatch.chdir(tmp_path)


def test_index_then_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["index", "docs"]) == 0
    assert "1 documents, 1 passages" in capsys.readouterr().err
    assert cli.main(["ask", "乙村的学校建于哪年？"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("乙村的学校建于1952年。\n")
    assert "[7:20] in 乙" in out
    assert cli.main(["ask", "--json", "乙村的学校建于哪年？"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["citations"][0]["cited_text"] == "乙村的学校建于1952年。"
    assert answer["offset_unit"] == "unicode_codepoint"


def test_a_terminal_without_chinese_gets_json_in_utf_8_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["index", "docs"]) == 0
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, "latin-1"))
    assert cli.main(["ask", "--json", "乙村的学校建于哪年？"]) == 0
    assert json.loads(written.getvalue().decode("utf-8"))["question"] == "乙村的学校建于哪年？"
    assert cli.main(["ask", "乙村的学校建于哪年？"]) == 0
    sys.stdout.flush()
    assert b"\n???????1952??" in written.getvalue()


def test_a_bad_file_is_named_and_the_rest_is_indexed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("docs/bad.txt").write_bytes(b"\x00\xff")
    assert cli.main(["index", "docs"]) == 1
    err = capsys.readouterr().err
    assert "left out: bad.txt" in err
    assert "1 documents" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ask", "有吗？"], "run `xhqa index`"),
        (["index", "nowhere"], "nowhere does not exist"),
        (["index", "--ray", "local"], "--ray needs XHQA_STORE=milvus"),
        (["ask", "  "], "run `xhqa index`"),
        (["eval", "--squad", "nowhere.json"], "nowhere.json"),
    ],
)
def test_failure_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("xhqa: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sing"],
        ["ask"],
        ["serve", "--port", "x"],
        ["serve", "--port", "70000"],
        ["eval", "--mode", "closed"],
        ["eval", "--limit", "3"],
        ["eval", "--mode", "reader"],
        ["eval", "--squad", "a", "--limit", "0"],
        ["eval", "--squad", "a", "--questions", "b"],
    ],
)
def test_bad_usage_is_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert "usage: xhqa" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["", "index", "ask", "serve", "eval", "train-reader", "bench", "doctor"]
)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command.split(), "--help"])
    assert stopped.value.code == 0
    assert "usage: xhqa" in capsys.readouterr().out


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(Exception, match="there is no index"):
        cli.main(["ask", "--debug", "有吗？"])


def test_describe() -> None:
    citation = Citation(1, "a", "甲镇", ("河流",), None, "三十座", 5, 8, "有三十座桥。", 4, 0.9)
    answer = Answer("那桥呢？", "有几座桥？", "三十座", 0.9, citations=(citation,))
    assert cli.describe(answer) == (
        "三十座\n\n[1] 甲镇 › 河流 [5:8] in a, confidence 90%\n    有三十座桥。\n"
        "understood as: 有几座桥？"
    )
    passage = Passage("a", ("河流",), 4, 10, "有三十座桥。", 1.0)
    refusal = Answer("?", "?", None, 0.12, "low_confidence", nearest=(passage,))
    assert cli.describe(refusal) == (
        "The documents do not answer this (low_confidence, best candidate 12%).\n"
        "Nearest, but not an answer:\n  a › 河流 [4:10] 有三十座桥。"
    )


def test_eval_of_a_squad_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for made in Settings().cache_dir.glob("[cj]*-*[0-9]"):  # word lists: not made once more
        (cache / made.name).symlink_to(made)
    monkeypatch.setenv("XHQA_CACHE_DIR", str(cache))
    context = "乙村种植水稻。乙村的学校建于1952年。"
    answers = [{"text": "1952年", "answer_start": context.index("1952年")}]
    question = {"id": "1", "question": "乙村的学校建于哪年？", "answers": answers}
    absent = {"id": "2", "question": "谁写了红楼梦？", "answers": [], "is_impossible": True}
    squad = {"data": [{"paragraphs": [{"context": context, "qas": [question, absent]}]}]}
    (tmp_path / "squad.json").write_text(json.dumps(squad))
    arguments = ["eval", "--squad", str(tmp_path / "squad.json"), "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    assert "report" in capsys.readouterr().out
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["n"] == 2
    assert summary["n_answerable"] == 1
    assert summary["recall_at_1"] == 1.0
    assert summary["citation_exactness"] == 1.0
    assert summary["citation_overlap"] == 1.0
    assert summary["em"] == 0.0
    assert 0.0 < summary["f1"] < 1.0
    for key in ("mrr", "refusal_recall", "auroc", "ece", "p50_ms", "p95_ms", "recall_at_10"):
        assert key in summary
    assert (tmp_path / "out" / "report.html").exists()
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("host", "keys", "refused"),
    [
        ("0.0.0.0", "", True),
        ("::", "", True),
        ("0.0.0.0", " , ", True),
        ("example.org", "", True),
        ("127.0.0.1", "", False),
        ("::1", "", False),
        ("localhost", "", False),
        ("0.0.0.0", "ask:a-long-enough-secret", False),
    ],
)
def test_other_machines_come_in_with_a_key_only(host: str, keys: str, refused: bool) -> None:
    parsed = parse_keys(keys)
    if refused:
        with pytest.raises(InputError, match="set XHQA_API_KEYS"):
            refuse_open_door(host, parsed)
    else:
        refuse_open_door(host, parsed)


@pytest.mark.parametrize("command", [["serve"], ["mcp", "--http"]])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_taken_port_is_said_before_models_are_loaded(
    command: list[str],
    host: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def load(*_: object, **__: object) -> None:
        raise AssertionError("models are loaded")

    for module in (encode, index, pipeline):
        monkeypatch.setattr(module, "encoder_of", load)
    try:
        taken = bound(host, 0)
    except InputError:
        pytest.skip("this machine has no IPv6")
    with taken:
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main([*command, "--host", host, "--port", str(port)]) == 1
    said = f"xhqa: port {port} of {host} is taken: choose another with --port\n"
    assert capsys.readouterr().err == said


def test_an_address_that_is_not_of_this_machine_is_said() -> None:
    with pytest.raises(InputError, match=r"port 8000 of 192\.0\.2\.1 cannot be opened \(.+\)"):
        bound("192.0.2.1", 8000)


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", r"127\.0\.0\.1:[1-9]\d*"), ("::1", r"\[::1\]:[1-9]\d*")]
)
def test_tools_are_announced_where_they_are(
    host: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mcp")
    try:
        bound(host, 0).close()
    except InputError:
        pytest.skip("this machine has no IPv6")
    assert cli.main(["index", "docs"]) == 0
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: None)
    assert cli.main(["mcp", "--http", "--host", host, "--port", "0"]) == 0
    assert re.search(f"xhqa's tools are at http://{shown}/mcp\n", capsys.readouterr().err)
