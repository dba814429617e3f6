"""All settings, read from ``XHQA_*`` environment variables here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from xhqa.errors import InputError


class Settings(BaseSettings):
    """Immutable settings; every field is documented in the README's table."""

    model_config = SettingsConfigDict(
        env_prefix="XHQA_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    store: Literal["faiss", "milvus"] = Field(
        "faiss",
        description="Where the index is: `faiss`, a folder of this machine, or `milvus`, which "
        "many servers share (needs the extra `milvus`).",
    )
    index_dir: Path = Field(Path("index"), description="Folder of the index (`faiss`).")
    milvus_uri: str = Field(
        "",
        description="Address of the Milvus, `http://host:19530`, or a local path ending in `.db` "
        "for Milvus Lite.",
    )
    milvus_prefix: str = Field(
        "xhqa",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$",
        description="What the names of this index's collections begin with in the Milvus.",
    )
    milvus_token: SecretStr = Field(
        SecretStr(""), description="`user:password` or token of the Milvus, if it asks for one."
    )
    cache_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("xhqa")),
        description="Folder for converted models (about 150 MB).",
    )
    feedback_file: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("xhqa")) / "feedback.sqlite",
        description="SQLite file of what users said of answers on the page.",
    )
    encoder: str = Field(
        "bundled",
        description="`bundled`, or a sentence-transformers model: a hub name or a folder.",
    )
    reader: str = Field(
        "span",
        description="`span` (the reader trained for this package: exact spans), `sentence` (whole "
        "sentences, lighter), or a `reader.safetensors` from `xhqa train-reader`.",
    )
    min_confidence: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="Answers below this probability are refused; unset: the reader's own default.",
    )
    runtime: Literal["onnx", "torch"] = Field(
        "onnx",
        description="What runs the bundled encoder and the span reader: `onnx` (ONNX Runtime, in "
        "int8) or `torch`, the reference in float32, which takes longer and more memory.",
    )
    kept_answers: int = Field(
        1024,
        ge=0,
        description="How many of the last questions' answers are kept, to be given at once when "
        "asked again (`faiss`).",
    )
    threads: int = Field(
        0,
        ge=0,
        description="CPU threads of the models; 0: all cores, in a server each worker's share "
        "of them.",
    )
    max_upload_mb: float = Field(
        20.0,
        gt=0,
        allow_inf_nan=False,
        description="Largest document that `POST /documents` takes, in megabytes.",
    )
    api_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys that the server asks for, `ask:SECRET` or `manage:SECRET`, separated by "
        "commas; `ask:sha256:HEX` keeps the secret out of the environment. Without keys it "
        "listens on this machine alone.",
    )
    rate_limit: int = Field(0, ge=0, description="Questions a minute for each key; 0: no limit.")
    workers: int = Field(
        0,
        ge=0,
        description="Questions that a server answers at once; 0: one for each core, at most four, "
        "where the processor has VNNI, otherwise one.",
    )
    queue: int = Field(
        32,
        ge=0,
        description="Questions that may wait in a burst, under lasting load at most 3 for each "
        "worker; more are answered 429 with `Retry-After`.",
    )
    deadline_seconds: float = Field(
        30.0,
        gt=0,
        allow_inf_nan=False,
        description="A question that takes longer is answered 504.",
    )
    log: Literal["human", "json"] = Field("human", description="Form of the server's log.")
    log_questions: bool = Field(
        False, description="Whether questions and answers may stand in the log."
    )


def load_settings() -> Settings:
    """The settings of this process; InputError names a variable that does not parse."""
    try:
        return Settings()  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        name = "XHQA_" + str(first["loc"][0]).upper()
        raise InputError(f"{name}: {first['msg']} (got {first['input']!r})") from error
