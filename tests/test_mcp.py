"""The official client of the Model Context Protocol against our tools."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable
from typing import Any

import pytest
from mcp import Client

from xhqa.api.mcp import build_server
from xhqa.errors import ModelError
from xhqa.pipeline import Pipeline

MakePipeline = Callable[[dict[str, str | bytes]], Pipeline]
TEXT = "甲镇\n\n甲镇有三十座桥。甲镇的人口是五千。"


def call(pipeline: Pipeline, tool: str, **arguments: Any) -> Any:
    async def connected() -> Any:
        async with Client(build_server(pipeline, "0")) as client:
            return await client.call_tool(tool, arguments)

    return asyncio.run(connected())


@pytest.fixture
def pipeline(make_pipeline: MakePipeline) -> Pipeline:
    return make_pipeline({"甲.txt": TEXT, "乙.txt": "乙村种植水稻。"})


def test_the_tools_say_what_they_do(pipeline: Pipeline) -> None:
    async def listed() -> Any:
        async with Client(build_server(pipeline, "0")) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in asyncio.run(listed())}
    assert tools.keys() == {"ask", "search", "read_document"}
    assert tools["ask"].input_schema["required"] == ["question"]
    assert "answerable" in tools["ask"].output_schema["properties"]
    assert all(tool.annotations.read_only_hint for tool in tools.values())


def test_ask(pipeline: Pipeline) -> None:
    answer = call(pipeline, "ask", question="甲镇有几座桥？").structured_content
    assert answer["answer"] == "甲镇有三十座桥。"
    (citation, *_) = answer["citations"]
    place = slice(citation["start_char_index"], citation["end_char_index"])
    assert TEXT[place] == citation["cited_text"]
    elsewhere = call(pipeline, "ask", question="甲镇有几座桥？", document_ids=["乙"])
    passages = elsewhere.structured_content["passages"]
    assert {passage["document_id"] for passage in passages} == {"乙"}


def test_search(pipeline: Pipeline) -> None:
    found = call(pipeline, "search", query="水稻", top_k=1).structured_content["result"]
    assert [(passage["document_id"], passage["text"]) for passage in found] == [
        ("乙", "乙村种植水稻。")
    ]


def test_read_document(pipeline: Pipeline) -> None:
    read = call(pipeline, "read_document", document_id="甲", start=4, length=8).structured_content
    assert read["text"] == TEXT[4:12] == "甲镇有三十座桥。"
    assert (read["start_char_index"], read["end_char_index"]) == (4, 12)
    assert read["characters"] == len(TEXT)
    beyond = call(pipeline, "read_document", document_id="甲", start=999).structured_content
    assert (beyond["start_char_index"], beyond["text"]) == (len(TEXT), "")


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("ask", {"question": "  "}, "the question is empty"),
        ("ask", {"question": "桥？", "document_ids": ["丙"]}, "no document '丙'"),
        ("search", {"query": "x" * 1001}, "shorten it"),
        ("search", {"query": "x", "top_k": 0}, "top_k"),
        ("read_document", {"document_id": "丙"}, "no document '丙'"),
        ("read_document", {"document_id": "甲", "start": -1}, "start"),
    ],
)
def test_errors(pipeline: Pipeline, tool: str, arguments: dict[str, Any], says: str) -> None:
    result = call(pipeline, tool, **arguments)
    assert result.is_error
    assert says in result.content[0].text


def test_without_the_package(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without_mcp(name: str, *rest: Any) -> Any:
        if name.startswith("mcp"):
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_mcp)
    with pytest.raises(ModelError, match=r"pip install '.\[mcp\]'"):
        build_server(pipeline, "0")
