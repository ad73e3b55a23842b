"""Generators: one module per family, all behind the contract of :class:`Generator`."""

from .base import Generator, missing_requirement
from .view import Access, AccessDeniedError, TrainView

__all__ = ["Access", "AccessDeniedError", "Generator", "TrainView", "missing_requirement"]
