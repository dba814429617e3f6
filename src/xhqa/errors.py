"""The errors of xhqa. Each message is one line and says what to do."""

from __future__ import annotations


class XhqaError(Exception):
    """Base of all errors that xhqa raises on purpose."""


class InputError(XhqaError):
    """What was given cannot be used: a file, a question, a setting."""


class NotFoundError(XhqaError):
    """A document or an index that was named does not exist."""


class IndexDamagedError(XhqaError):
    """An index on disk does not match its manifest or the models in use."""


class ModelError(XhqaError):
    """A model cannot be found, verified or loaded."""


class BusyError(XhqaError):
    """Another process is writing the same thing."""


class OverloadedError(XhqaError):
    """Too many questions at once; ``retry_after`` is in how many seconds to try again."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineError(XhqaError):
    """A question took longer than it may."""


class StorageFullError(XhqaError):
    """There is no room left on the disk."""


class StoreError(XhqaError):
    """The engine that holds the index does not answer."""
