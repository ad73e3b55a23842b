"""Generators: one module per family, all behind the contract of :class:`Generator`."""

from .base import Access, AccessDeniedError, Generator, TrainView, missing_requirement

__all__ = ["Access", "AccessDeniedError", "Generator", "TrainView", "missing_requirement"]
