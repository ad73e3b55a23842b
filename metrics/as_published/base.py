"""What the metrics that reproduce a paper's own computation share: their cards, and the table that they compare with.

They keep the defects of the paper, for the difference to ours to be seen, and never enter a ranking.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...results.record import Direction, Family
from ..base import Evaluation, Metric, MetricFunction, Value, metric
from ..encoding import Part, encoded


def published(paper: str, family: Family, direction: Direction, definition: str) -> Callable[[MetricFunction], Metric]:
    """Declare a metric as a paper computed it.

    Args:
        paper: its citation.
        family: the question that the metric answers.
        direction: as the paper reads it.
        definition: one sentence, the defects among it.
    """
    return metric(
        family=family, direction=direction, definition=definition, citation=paper, published_in=paper, ranked=False
    )


def against(evaluation: Evaluation, part: Part) -> Evaluation:
    """The same synthetic rows, where one real table is all there is: train, control and test at once."""

    def compute() -> Evaluation:
        table = getattr(evaluation, part)
        return replace(evaluation, train=table, control=table, test=table, shared={})

    return evaluation.once(("against", part), compute)


def complete_rows(evaluation: Evaluation, part: Part) -> np.ndarray:
    """The rows without a missing value as numbers, labels by the number of their code; shape ``(rows, columns)``.

    Columns are in the order of the schema. A label that the schema does not know counts as missing, and so does a
    number that single precision, in which scikit-learn's trees compute, does not hold.
    """
    schema, table = evaluation.schema, encoded(evaluation, part)
    columns = dict(zip(schema.numeric, table.numbers.T, strict=True))
    for name in schema.categorical:
        place = {code: float(i) for i, code in enumerate(schema[name].codes)}
        columns[name] = getattr(evaluation, part)[name].map(place).to_numpy(dtype=float)
    matrix = np.column_stack([columns[name] for name in schema.names])
    complete: np.ndarray = matrix[(np.abs(matrix) <= np.finfo(np.float32).max).all(axis=1)]
    return complete


def one_of(found: Metric, evaluation: Evaluation, wanted: str, variant: str) -> Value:
    """One variant of a metric of ours under another name; or what the metric gives instead, which says why."""
    result = found.function(evaluation)
    values = [result] if isinstance(result, Value) else list(result)
    value = next((v for v in values if v.variant == wanted), values[0])
    return Value(value.value, variant, n=value.n, population=value.population, reason=value.reason)
