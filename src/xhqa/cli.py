"""The console script ``xhqa``: index, ask, serve, mcp, eval, train-reader, export-reader, bench,
doctor."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xhqa import __version__
from xhqa.errors import InputError, XhqaError

if TYPE_CHECKING:
    from xhqa.config import Settings
    from xhqa.types import Answer


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 1 on failure, 2 on bad usage."""
    arguments = _parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that has no 汇 shows the rest.
        sys.stdout.reconfigure(errors="replace")
    # Hugging Face's tokenizers (hub models, torch) must not compete with the models for the cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        run: Callable[[argparse.Namespace], int] = arguments.run
        return run(arguments)
    except KeyboardInterrupt:
        # What was never awaited, since it was broken off, nobody needs to hear of.
        warnings.simplefilter("ignore", RuntimeWarning)
        print("xhqa: interrupted", file=sys.stderr)
        return 1
    except (XhqaError, OSError) as error:
        if arguments.debug:
            raise
        print(f"xhqa: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"xhqa: unexpected {said} (--debug shows where)", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xhqa", description="Ask documents a question, get their own words with their place."
    )
    parser.add_argument("--version", action="version", version=f"xhqa {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    indexed = argparse.ArgumentParser(add_help=False, parents=[common])
    indexed.add_argument("--index-dir", type=Path, metavar="DIR", help="folder of the index")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    index = commands.add_parser("index", parents=[indexed], help="(re)build the index from files")
    index.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="files or folders (default: corpus)"
    )
    index.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="embed on the Ray cluster at ADDRESS (`auto` where one runs, `local` for one here); "
        "needs XHQA_STORE=milvus and the extra ray",
    )
    index.set_defaults(run=_index)

    ask = commands.add_parser("ask", parents=[indexed], help="ask one question")
    ask.add_argument("question")
    ask.add_argument("--json", action="store_true", help="print the response of POST /ask")
    ask.set_defaults(run=_ask)

    serve = commands.add_parser("serve", parents=[indexed], help="the API and the chat page")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=_port, default=8000)
    serve.set_defaults(run=_serve)

    mcp = commands.add_parser(
        "mcp", parents=[indexed], help="the documents as tools for assistants (MCP)"
    )
    mcp.add_argument("--http", action="store_true", help="streamable HTTP instead of stdio")
    mcp.add_argument("--host", default="127.0.0.1")
    mcp.add_argument("--port", type=_port, default=8001)
    mcp.set_defaults(run=_mcp)

    evaluate = commands.add_parser("eval", parents=[indexed], help="measure answer accuracy")
    source = evaluate.add_mutually_exclusive_group()
    source.add_argument("--questions", type=Path, metavar="FILE", help="a set of one's own (JSONL)")
    source.add_argument("--squad", type=Path, metavar="FILE", help="a SQuAD-style file")
    source.add_argument(
        "--from-feedback", action="store_true", help="the questions that users judged on the page"
    )
    evaluate.add_argument(
        "--questions-from", type=Path, metavar="FILE2", help="take the questions from this file"
    )
    evaluate.add_argument("--mode", choices=("reader", "open"), help="default: open")
    evaluate.add_argument("--limit", type=_positive, metavar="N", help="only the first N questions")
    evaluate.add_argument("--out", type=Path, metavar="DIR", help="where the report goes")
    evaluate.set_defaults(run=_eval)

    train = commands.add_parser(
        "train-reader", parents=[common], help="fine-tune the reader on SQuAD-style files"
    )
    train.add_argument("files", nargs="+", type=Path, metavar="FILE")
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    train.add_argument("--steps", type=_positive, default=8000, help="length of the whole run")
    train.add_argument(
        "--minutes", type=float, metavar="M", help="stop after so long, to go on later"
    )
    train.add_argument(
        "--from",
        dest="start",
        metavar="READER",
        help="reader.safetensors to begin with, or 'bundled' for the package's own",
    )
    train.add_argument(
        "--rate", type=float, default=1.5e-4, help="highest learning rate (default: %(default)s)"
    )
    train.add_argument(
        "--decay", type=float, default=0.25, help="last share of the run with a falling rate"
    )
    train.add_argument(
        "--frozen-layers",
        type=int,
        default=0,
        choices=range(13),
        metavar="N",
        help="keep the lowest N of the 12 layers as they are: faster",
    )
    train.add_argument(
        "--apart",
        type=int,
        default=0,
        choices=range(9),
        metavar="N",
        help="the lowest N layers see question and passage apart: faster in use",
    )
    train.add_argument(
        "--teacher",
        metavar="READER",
        help="reader.safetensors to follow besides the answers, or 'bundled'",
    )
    train.add_argument(
        "--also-asked",
        nargs="+",
        type=Path,
        default=[],
        metavar="JSONL",
        help="more questions on the files' passages: translations, or with answers of their own",
    )
    train.add_argument(
        "--without",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="leave out paragraphs that these files ask about, known by their questions' ids",
    )
    train.add_argument(
        "--code-switch",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="put this share of Chinese questions into English word by word",
    )
    train.add_argument("--seed", type=int, default=1)
    train.set_defaults(run=_train_reader)

    export = commands.add_parser(
        "export-reader", parents=[common], help="the reader in use, in Hugging Face's form"
    )
    export.add_argument("out", type=Path, metavar="DIR", help="folder to write it to")
    export.set_defaults(run=_export_reader)

    bench = commands.add_parser(
        "bench", parents=[indexed], help="measure latency, throughput, start-up and memory"
    )
    bench.add_argument("--questions", type=Path, metavar="FILE", help="a set of one's own (JSONL)")
    bench.add_argument(
        "--limit", type=_positive, default=30, metavar="N", help="the first N questions (30)"
    )
    bench.add_argument("--rounds", type=_positive, default=3, metavar="R", help="times each (3)")
    bench.add_argument(
        "--clients", type=_positive, nargs="+", metavar="C", help="at once (1 2 4 8 32)"
    )
    bench.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there too")
    bench.add_argument("--plot", type=Path, metavar="FILE", help="draw time by clients there (SVG)")
    bench.set_defaults(run=_bench)

    doctor = commands.add_parser("doctor", parents=[indexed], help="say what is in use and wrong")
    doctor.set_defaults(run=_doctor)
    return parser


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{value} is not a port (0 to 65535)")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def _settings(arguments: argparse.Namespace) -> Settings:
    from xhqa.config import load_settings

    settings = load_settings()
    if arguments.index_dir is not None:
        settings = settings.model_copy(update={"index_dir": arguments.index_dir})
    return settings


def _notify(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _index(arguments: argparse.Namespace) -> int:
    from xhqa.commands.index import index

    return index(arguments.paths or [Path("corpus")], _settings(arguments), arguments.ray, _notify)


def _ask(arguments: argparse.Namespace) -> int:
    from xhqa.memory import uncollected
    from xhqa.pipeline import Pipeline

    if sys.stderr.isatty():
        _notify("loading the models …")
    with uncollected():
        pipeline = Pipeline.open(settings=_settings(arguments), notify=_notify)
    answer = pipeline.ask(arguments.question)
    if arguments.json:
        from xhqa.api.models import AskResponse

        # JSON is UTF-8, whatever the terminal's encoding (RFC 8259).
        sys.stdout.buffer.write(AskResponse.of(answer).model_dump_json().encode() + b"\n")
    else:
        print(describe(answer))
    return 0


def describe(answer: Answer) -> str:
    """The answer as a person reads it in a terminal."""
    if answer.text is None:
        lines = [
            f"The documents do not answer this ({answer.refusal_reason}, best candidate "
            f"{answer.confidence:.0%})."
        ]
        if answer.nearest:
            lines.append("Nearest, but not an answer:")
        for passage in answer.nearest:
            place = " › ".join((passage.document_id, *passage.section_path))
            text = " ".join(passage.text.split())
            shown = text if len(text) <= 80 else text[:80] + "…"
            lines.append(f"  {place} [{passage.start_char_index}:{passage.end_char_index}] {shown}")
        return "\n".join(lines)
    lines = [answer.text, ""]
    for citation in answer.citations:
        place = " › ".join(
            (citation.document_title or citation.document_id, *citation.section_path)
        )
        lines.append(
            f"[{citation.index}] {place} "
            f"[{citation.start_char_index}:{citation.end_char_index}] "
            f"in {citation.document_id}, confidence {citation.score:.0%}"
        )
        if citation.context != citation.cited_text:
            lines.append(f"    {' '.join(citation.context.split())}")
    if answer.standalone_question != answer.question:
        lines.append(f"understood as: {answer.standalone_question}")
    return "\n".join(lines)


def _serve(arguments: argparse.Namespace) -> int:
    from xhqa.commands.serve import serve

    serve(_settings(arguments), arguments.host, arguments.port, _notify)
    return 0


def _mcp(arguments: argparse.Namespace) -> int:
    from xhqa.commands.serve import serve_tools

    where = (arguments.host, arguments.port) if arguments.http else None
    serve_tools(_settings(arguments), where, _notify)
    return 0


def _eval(arguments: argparse.Namespace) -> int:
    from xhqa_eval.command import run_feedback, run_fixed, run_squad

    settings = _settings(arguments)
    if arguments.squad is None:
        for option in ("questions_from", "limit", "mode"):
            if getattr(arguments, option) is not None:
                _parser().error(f"--{option.replace('_', '-')} goes with --squad")
        if arguments.from_feedback:
            report = run_feedback(settings, arguments.out, _notify)
        else:
            report = run_fixed(arguments.questions, settings, arguments.out, _notify)
    else:
        report = run_squad(
            arguments.squad,
            arguments.questions_from,
            arguments.mode or "open",
            arguments.limit,
            settings,
            arguments.out,
            _notify,
        )
    print(report)
    return 0


def _train_reader(arguments: argparse.Namespace) -> int:
    from xhqa.config import load_settings
    from xhqa.read.span import BUNDLED
    from xhqa.train.command import train_reader
    from xhqa.train.loop import Recipe

    recipe = Recipe(
        arguments.steps,
        peak=arguments.rate,
        decay=arguments.decay,
        frozen_layers=arguments.frozen_layers,
        apart=arguments.apart,
        taught=arguments.teacher is not None,
        code_switch=arguments.code_switch,
        seed=arguments.seed,
    )
    start, teacher = (
        named and (BUNDLED if named == "bundled" else Path(named))
        for named in (arguments.start, arguments.teacher)
    )
    path = train_reader(
        arguments.files,
        arguments.out,
        recipe,
        load_settings(),
        arguments.minutes,
        _notify,
        start=start,
        teacher=teacher,
        more=arguments.also_asked,
        without=arguments.without,
    )
    print(f"reader: {path} (use it with XHQA_READER={path})")
    return 0


def _export_reader(arguments: argparse.Namespace) -> int:
    from xhqa import bundle
    from xhqa.config import load_settings
    from xhqa.read.model import export
    from xhqa.read.span import BUNDLED

    settings = load_settings()
    if settings.reader == "sentence":
        raise InputError("the sentence reader has no weights: unset XHQA_READER")
    path = BUNDLED if settings.reader == "span" else Path(settings.reader)
    arguments.out.mkdir(parents=True, exist_ok=True)
    export(path, bundle.converted(settings.cache_dir, _notify), arguments.out)
    print(f"reader: {arguments.out} (a BertForQuestionAnswering; questions begin with 'query: ')")
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    import json

    from xhqa_eval.bench import CLIENTS, format_bench, plot, run_bench

    figures = run_bench(
        _settings(arguments),
        arguments.questions,
        arguments.limit,
        arguments.rounds,
        arguments.clients or CLIENTS,
    )
    print(format_bench(figures), end="\n\n")
    text = json.dumps(figures, indent=1)
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", "utf-8")
    if arguments.plot is not None:
        arguments.plot.write_text(plot(figures), "utf-8")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from xhqa.doctor import diagnose

    report, healthy = diagnose(_settings(arguments))
    print(report)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
