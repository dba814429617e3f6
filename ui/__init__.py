"""The chat page. ``page`` builds it, ``render`` turns records into HTML, ``marks`` marks text."""

from .page import build_page, mount_options

__all__ = ["build_page", "mount_options"]
