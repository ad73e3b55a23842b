"""What the making of the table cost, as measured by the runner on its machine."""

from __future__ import annotations

from .base import Evaluation, Value, metric


@metric(
    family="cost",
    direction="min",
    ideal=0.0,
    lower=0.0,
    unit="s",
    definition="Wall-clock seconds that fitting the generator took.",
    needs=("costs",),
)
def fit_seconds(evaluation: Evaluation) -> Value:
    """Wall-clock seconds of fitting."""
    assert evaluation.costs is not None
    return Value(evaluation.costs.fit_seconds)


@metric(
    family="cost",
    direction="min",
    ideal=0.0,
    lower=0.0,
    unit="s",
    definition="Wall-clock seconds that sampling the synthetic table took.",
    needs=("costs",),
)
def sample_seconds(evaluation: Evaluation) -> Value:
    """Wall-clock seconds of sampling."""
    assert evaluation.costs is not None
    return Value(evaluation.costs.sample_seconds)


@metric(
    family="cost",
    direction="min",
    ideal=0.0,
    lower=0.0,
    unit="MB",
    definition="Peak resident memory of the process that fitted and sampled, with its children.",
    needs=("costs",),
)
def peak_memory(evaluation: Evaluation) -> Value:
    """Peak resident memory of fitting and sampling."""
    assert evaluation.costs is not None
    return Value(evaluation.costs.peak_memory_mb)
