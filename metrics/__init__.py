"""Metrics: pure functions over an :class:`Evaluation`, one module per family."""

from .base import Costs, Evaluation, LanguageModel, Metric, Value, get, metric, registry

__all__ = ["Costs", "Evaluation", "LanguageModel", "Metric", "Value", "get", "metric", "registry"]
