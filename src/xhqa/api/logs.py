"""What the server writes to its log, and the id that ties a request's lines together."""

from __future__ import annotations

import logging
import re
import uuid
from contextvars import ContextVar
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

Format = Literal["human", "json"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NONE = "-"
_FIELDS = ("%(asctime)s", "%(levelname)s", "%(name)s", "%(request_id)s", "%(message)s")

request_id: ContextVar[str] = ContextVar("request_id", default=_NONE)


def new_request_id(given: str | None) -> str:
    """``given``, where it is short and harmless (a proxy's id goes through), or a new one."""
    return given if given and _ID.fullmatch(given) else uuid.uuid4().hex


def set_up_logging(style: Format) -> None:
    """The log of this process to standard error: lines for people, or one JSON object each."""
    handler = logging.StreamHandler()
    handler.addFilter(_add_request_id)
    handler.setFormatter(
        _HumanFormatter() if style == "human" else JsonFormatter(" ".join(_FIELDS))
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("xhqa").setLevel(logging.INFO)


def _add_request_id(record: logging.LogRecord) -> bool:
    record.request_id = request_id.get()
    return True


class _HumanFormatter(logging.Formatter):
    """Time, level, request id and message, then what else the record was given as name=value."""

    _PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id"}

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(request_id)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        # Libraries that mark every record (Ray does) use names of their own.
        given = {
            name: value
            for name, value in vars(record).items()
            if name not in self._PLAIN and not name.startswith("_")
        }
        # repr: what a user sent must not look like a line of its own.
        return " ".join(
            [super().formatMessage(record), *(f"{name}={given[name]!r}" for name in given)]
        )
