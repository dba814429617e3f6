"""The HTTP API: questions, documents, health, metrics, and the page at ``/``."""

from xhqa.api.app import Service, create_app
from xhqa.api.models import AskResponse
from xhqa.api.page import Page

__all__ = ["AskResponse", "Page", "Service", "create_app"]
