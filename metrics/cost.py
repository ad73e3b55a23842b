"""What the making of the table cost, as measured by the runner on its machine."""

from __future__ import annotations

from .base import Evaluation, Value, metric


@metric(
    family="cost",
    direction="min",
    ideal=0.0,
    lower=0.0,
    unit="s",
    definition="Processor seconds that fitting the generator took, in one thread: a busy machine does not change them.",
    needs=("costs",),
)
def fit_seconds(evaluation: Evaluation) -> Value:
    """Processor seconds of fitting."""
    assert evaluation.costs is not None
    return Value(evaluation.costs.fit_seconds)


@metric(
    family="cost",
    direction="min",
    ideal=0.0,
    lower=0.0,
    unit="s",
    definition="Processor seconds that sampling the synthetic table took, in one thread.",
    needs=("costs",),
)
def sample_seconds(evaluation: Evaluation) -> Value:
    """Processor seconds of sampling."""
    assert evaluation.costs is not None
    return Value(evaluation.costs.sample_seconds)


@metric(
    family="cost",
    direction="min",
    ideal=0.0,
    lower=0.0,
    unit="MB",
    definition="Memory by which fitting and sampling grew their process at the peak, loaded libraries not counted.",
    needs=("costs",),
)
def peak_memory(evaluation: Evaluation) -> Value:
    """Growth of the process in fitting and sampling, at its peak."""
    assert evaluation.costs is not None
    return Value(evaluation.costs.peak_memory_mb)
