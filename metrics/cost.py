"""What the making of the table cost: as measured by the runner on its machine, and as language models count."""

from __future__ import annotations

from .base import Evaluation, ModelUsage, Value, best_at_one, metric
from .validity import EMPTY

ACCOUNT = "language model's account"
CACHED = "replies that came from a cache or a transcript included"


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


@metric(
    family="cost",
    direction="min",
    ideal=0.0,
    lower=0.0,
    unit="calls",
    definition=f"Replies of a language model that the table took, {CACHED}.",
    needs=(ACCOUNT,),
)
def model_calls(evaluation: Evaluation) -> Value:
    """Calls of a language model."""
    return _counted(_usage(evaluation).calls, "calls")


@metric(
    family="cost",
    direction="min",
    ideal=0.0,
    lower=0.0,
    unit="tokens",
    definition=f"Tokens that a language model read for the table, {CACHED}.",
    needs=(ACCOUNT,),
)
def prompt_tokens(evaluation: Evaluation) -> Value:
    """Tokens of the prompts."""
    return _counted(_usage(evaluation).prompt_tokens, "prompt tokens")


@metric(
    family="cost",
    direction="min",
    ideal=0.0,
    lower=0.0,
    unit="tokens",
    definition=f"Tokens that a language model wrote for the table, {CACHED}.",
    needs=(ACCOUNT,),
)
def completion_tokens(evaluation: Evaluation) -> Value:
    """Tokens of the replies."""
    return _counted(_usage(evaluation).completion_tokens, "completion tokens")


@metric(
    family="cost",
    direction="min",
    ideal=0.0,
    lower=0.0,
    unit="USD",
    definition="US dollars that the replies of the language model cost at its listed price, "
    f"{CACHED}, for 1,000 rows of the table that conform to the schema card (see valid_rows); rows that were rejected, "
    "discarded or left over are paid for too.",
    needs=(ACCOUNT,),
)
def usd_per_1000_rows(evaluation: Evaluation) -> Value:
    """Nominal money for 1,000 valid rows."""
    cost, n = _usage(evaluation).cost_usd, len(evaluation.synthetic)
    if cost is None:
        return Value(None, reason="no price of the language model is known")
    if not n:
        return Value(None, reason=EMPTY)
    valid = int(evaluation.schema.conform(evaluation.synthetic).valid.sum())
    if not valid:
        return Value(None, n=0, reason="no row of the table conforms to the schema card")
    return Value(1000 * cost / valid, n=valid)


@best_at_one(
    family="cost",
    definition="Share of the language model's tokens, of prompts and replies together, that came from a cache or a "
    "transcript and were not paid again.",
    needs=(ACCOUNT,),
    ranked=False,
)
def cached_share(evaluation: Evaluation) -> Value:
    """Share of tokens served from a cache; of the run, not of the generator."""
    usage = _usage(evaluation)
    if usage.cached_tokens is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return _counted(None, "tokens came from a cache")
    tokens = usage.prompt_tokens + usage.completion_tokens
    if not tokens:
        return Value(None, reason="the language model was not asked")
    return Value(min(1.0, usage.cached_tokens / tokens))


def _usage(evaluation: Evaluation) -> ModelUsage:
    assert evaluation.costs is not None
    assert evaluation.costs.usage is not None
    return evaluation.costs.usage


def _counted(number: float | None, what: str) -> Value:
    if number is None:
        return Value(None, reason=f"the language model's account does not say how many {what}")
    return Value(number)
