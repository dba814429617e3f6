"""The chat page. ``page`` lays it out, ``handlers`` is what happens on its events, ``render`` and
``pane`` turn records into HTML, ``marks`` marks text, ``words`` is what it says in each language.
"""

from .page import build_page, mount_options

__all__ = ["build_page", "mount_options"]
