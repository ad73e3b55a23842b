"""What a metric is: a pure function of an :class:`Evaluation`, with a card.

A metric never raises on odd data: it gives a value, or a status with a reason.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..results.errors import StoppedError, UserError
from ..results.record import Direction, Family, Measurement, MetricCard, Status

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ..benchmarks.schema import TableSchema
    from .utility.references import References

T = TypeVar("T")

MODULES = (
    "fidelity.marginals",
    "fidelity.distances",
    "fidelity.univariate",
    "fidelity.correlations",
    "fidelity.associations",
    "fidelity.joint",
    "utility.classification",
    "utility.augmentation",
    "utility.tabnet",
    "utility.agreement",
    "utility.fairness",
    "privacy.copies",
    "privacy.proximity",
    "privacy.membership",
    "privacy.attacks",
    "privacy.disclosure",
    "privacy.memorisation",
    "validity",
    "cost",
    "as_published.text_to_tabular",
    "as_published.neurosurgery",
)


@dataclass(frozen=True)
class ModelUsage:
    """What a language model was asked for a table, replies that came from a cache included.

    ``None`` where the generator's account does not say.

    Attributes:
        calls: replies.
        prompt_tokens, completion_tokens: of them.
        cached_tokens: of both kinds, in replies that came from a cache or a transcript.
        cost_usd: what all would cost now, in US dollars.
    """

    calls: float | None = None
    prompt_tokens: float | None = None
    completion_tokens: float | None = None
    cached_tokens: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True)
class Costs:
    """What the making of the table cost: processor seconds, the memory that the process grew by, and model replies."""

    fit_seconds: float
    sample_seconds: float
    peak_memory_mb: float
    usage: ModelUsage | None = None


class LanguageModel(Protocol):
    """The language model of a cell, for metrics that ask it something."""

    def complete(
        self,
        prompts: Sequence[Sequence[Mapping[str, str]]],
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str | None]:
        """Answer conversations, in their order.

        Args:
            prompts: conversations of messages with ``role`` (``system``, ``user``, ``assistant``) and ``content``.
            max_tokens: of each reply.
            temperature: of sampling; 0 takes the likeliest token.
            seed: of sampling.

        Returns:
            One reply a conversation, ``None`` where none was had. Replies are untrusted.
        """
        ...


@dataclass(frozen=True)
class Evaluation:
    """One synthetic table beside the real ones, and the work that several metrics share.

    All tables are canonical (see :mod:`synthward.benchmarks.schema`).

    Attributes:
        schema: the schema card.
        train: rows that the generator could learn from, shape ``(train rows, columns)``.
        control: rows that it never saw, the counterpart of train in privacy metrics.
        test: rows that it never saw, the reference of fidelity and utility metrics.
        synthetic: the rows to score.
        seed: seed of learners and subsamples.
        costs: cost of the table, if known.
        shown: numbers of the train rows that stood in a prompt of the generator, repeats included.
        model: the language model behind the generator; given for public tables alone, whose rows it may be told.
        source: the whole canonical table in the order of its source; given beside ``model``.
        references: what other evaluations computed of the real rows alone; without it everything is computed here.
        shared: intermediates by key, see :meth:`once`.
    """

    schema: TableSchema
    train: pd.DataFrame
    control: pd.DataFrame
    test: pd.DataFrame
    synthetic: pd.DataFrame
    seed: int = 0
    costs: Costs | None = None
    shown: tuple[int, ...] = ()
    model: LanguageModel | None = None
    source: pd.DataFrame | None = None
    references: References | None = None
    shared: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, key: Any, compute: Callable[[], T]) -> T:
        """Return the intermediate under ``key``, computing it for the first metric that asks."""
        if key not in self.shared:
            self.shared[key] = compute()
        value: T = self.shared[key]
        return value


@dataclass(frozen=True)
class Value:
    """What a metric function returns: a value, or the reason why there is none.

    Attributes:
        value: ``None`` with a ``reason`` where the metric does not apply.
        variant: which of several values of the metric this is.
        low, high: bounds of a 95 % interval.
        n: rows, columns or pairs behind the value.
        population: rows there are, where the metric looks at ``n`` of them alone; see :mod:`.sampling`.
        breakdown: values by column, class or pair.
        reason: why there is no value; a reason beside a value marks it as partial.
    """

    value: float | None
    variant: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    population: int | None = None
    breakdown: dict[str, float | None] = field(default_factory=dict)
    reason: str = ""


MetricFunction = Callable[[Evaluation], Value | Sequence[Value]]


@dataclass(frozen=True)
class Metric:
    """A metric function with its card."""

    card: MetricCard
    function: MetricFunction

    def measure(self, evaluation: Evaluation) -> list[Measurement]:
        """Apply the metric. An exception becomes a measurement with status ``error``.

        Raises:
            StoppedError: the sweep was told to stop here, such as by its budget; nothing was measured.
        """
        start = time.perf_counter()
        reason = _unmet(self.card.needs, evaluation)
        status = Status.UNSUPPORTED
        values: Iterable[Value] = [Value(None, reason=reason)]
        if not reason:
            try:
                result = self.function(evaluation)
                values = [result] if isinstance(result, Value) else list(result)
                values = values or [Value(None, reason="the metric gave no value")]
            except StoppedError:
                raise
            except Exception as error:  # a metric's failure is data, like a generator's
                values = [Value(None, reason=f"{type(error).__name__}: {error}")]
                status = Status.ERROR
        seconds = time.perf_counter() - start
        return [self._measurement(v, status, seconds, evaluation.seed) for v in values]

    def _measurement(self, value: Value, status: Status, seconds: float, seed: int) -> Measurement:
        sampled = value.population is not None and value.population != value.n
        number = finite(value.value)
        reason = value.reason
        if number is not None:
            status = Status.PARTIAL if reason else Status.OK
        elif not reason:
            reason = "not defined on this table"
        return Measurement(
            metric=self.card.name,
            version=self.card.version,
            variant=value.variant,
            value=number,
            low=finite(value.low),
            high=finite(value.high),
            n=value.n,
            population=value.population if sampled else None,
            sample_seed=seed if sampled else None,
            breakdown={k: finite(v) for k, v in value.breakdown.items()},
            status=status,
            reason=reason,
            seconds=round(seconds, 4),
        )


def metric(
    *,
    family: Family,
    aspect: str = "",
    direction: Direction,
    definition: str,
    ideal: float | None = None,
    lower: float | None = None,
    upper: float | None = None,
    unit: str | None = None,
    citation: str = "",
    version: int = 1,
    needs: tuple[str, ...] = (),
    ranked: bool = True,
    published_in: str = "",
) -> Callable[[MetricFunction], Metric]:
    """Turn a function of an :class:`Evaluation` into a metric; its name becomes the metric's.

    See :class:`synthward.results.record.MetricCard` for the arguments.
    """

    def decorate(function: MetricFunction) -> Metric:
        card = MetricCard(
            name=function.__name__,
            family=family,
            aspect=aspect,
            direction=direction,
            ideal=ideal,
            lower=lower,
            upper=upper,
            unit=unit,
            definition=definition,
            citation=citation,
            version=version,
            needs=needs,
            ranked=ranked,
            published_in=published_in,
        )
        return Metric(card, function)

    return decorate


# The cards of most metrics: a share or a score from 0 to 1.
best_at_one = partial(metric, direction="max", ideal=1.0, lower=0.0, upper=1.0)
best_at_zero = partial(metric, direction="min", ideal=0.0, lower=0.0, upper=1.0)


@cache
def registry() -> dict[str, Metric]:
    """All metrics by name: our own, then those of installed plugins.

    Raises:
        UserError: two metrics have one name.
    """
    metrics: dict[str, Metric] = {}
    for name in MODULES:
        module = importlib.import_module(f".{name}", __package__)
        for found in vars(module).values():
            if isinstance(found, Metric) and found.function.__module__ == module.__name__:
                _add(metrics, found)
    for plugin in entry_points(group="synthward.metrics"):
        found = resolve(plugin.value.replace(":", "."), f"the metric '{plugin.name}' of an installed plugin")
        _add(metrics, found)
    return metrics


def get(name: str) -> Metric:
    """Find a metric by name, or by the dotted path of one of your own (``my_pkg.my_metric``).

    Raises:
        UserError: there is no such metric; the message names the nearest.
    """
    if name in registry():
        return registry()[name]
    if "." in name:
        return resolve(name, f"metric '{name}'")
    raise UserError(f"there is no metric '{name}'{did_you_mean(name, registry())}")


def resolve(path: str, what: str) -> Metric:
    """Import a metric.

    Args:
        path: dotted path of the decorated function.
        what: how an error message calls it.

    Raises:
        UserError: it cannot be imported, or is no metric.
    """
    try:
        found = resolve_name(path)
    except Exception as error:  # a module of the user's own may raise anything when it is imported
        text = " ".join(str(error).split())
        raise UserError(f"{what} cannot be imported: {type(error).__name__}: {text}") from None
    if not isinstance(found, Metric):
        raise UserError(f"{what} is not a metric: decorate the function {path} with @metric")
    return found


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The tail of an error message: the nearest known names, or where to find them all."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=3)
    return f": did you mean {' or '.join(near)}?" if near else f": choose from {', '.join(sorted(known))}"


def finite(value: float | np.floating[Any] | None) -> float | None:
    """A plain float, or ``None`` for what is missing, NaN or infinite."""
    return None if value is None or not math.isfinite(value) else float(value)


def _add(metrics: dict[str, Metric], found: Metric) -> None:
    name = found.card.name
    if name in metrics:
        raise UserError(f"two metrics are called '{name}': rename one")
    metrics[name] = found


def _unmet(needs: tuple[str, ...], evaluation: Evaluation) -> str:
    """Why a metric does not apply to an evaluation, or an empty string."""
    schema = evaluation.schema
    present = {
        "target": schema.target is not None,
        "class target": schema.task in ("binary", "multiclass"),
        "binary target": schema.task == "binary",
        "numeric target": schema.task == "regression",
        "sensitive column": bool(schema.sensitive),
        "numeric": bool(schema.numeric),
        "categorical": bool(schema.categorical),
        "numeric pair": len(schema.numeric) > 1,
        "categorical pair": len(schema.categorical) > 1,
        "costs": evaluation.costs is not None,
        "language model's account": evaluation.costs is not None and evaluation.costs.usage is not None,
        "language model": evaluation.model is not None,
    }
    lacking = [need for need in needs if not present[need]]
    return f"needs a {' and a '.join(lacking)}: there is none" if lacking else ""
