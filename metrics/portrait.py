"""The portrait of a synthetic table beside the real one, from which a board draws the cell.

Like a metric it is a pure function of an :class:`.base.Evaluation`, and shares the metrics' own measures; what would
grow with the table is bounded, in rows by draws and in columns by leaving some out, and the portrait says so.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from ..results.portrait import LONGEST, Associations, Distances, Drawn, Marginal, Portrait, Side, significant
from .encoding import Part, encoded
from .fidelity.associations import association_matrix
from .privacy.proximity import closest, comparable
from .sampling import drawn

if TYPE_CHECKING:
    import pandas as pd

    from ..benchmarks.schema import Column, TableSchema
    from .base import Evaluation

MOST_ROWS = 5_000  # of either table; a share of them is known to 1.4 % and better
MOST_COLUMNS = 200
MOST_ASSOCIATED = 40  # columns whose matrix can still be read
BINS, DISTANCE_BINS = 20, 24
ENDS = 0.01, 0.99  # quantiles of the real values between which the bins lie
CATEGORIES = 12
COMPARISONS = 10_000_000_000  # of two values, in the search for the nearest rows; some seconds
LEAST_DISTANCE = 0.01  # that the bins of distances reach to, where all are 0
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)  # widths of bins, times a power of ten
DIGITS = 12  # of an edge: those beyond are rounding errors
LARGEST_FLOAT = np.finfo(float).max


def portray(evaluation: Evaluation) -> Portrait:
    """Draw the portrait of a synthetic table; its breakdowns are for the record's keeper to add.

    Args:
        evaluation: of tables with a row or more each, control and test excepted.
    """
    schema = evaluation.schema
    real, synthetic = (drawn(evaluation, part, MOST_ROWS) for part in ("train", "synthetic"))
    tables = evaluation.train.iloc[real], evaluation.synthetic.iloc[synthetic]
    shown, left_out = _shown(schema, MOST_COLUMNS)
    return Portrait(
        real=Drawn(rows=len(real), of=len(evaluation.train)),
        synthetic=Drawn(rows=len(synthetic), of=len(evaluation.synthetic)),
        seed=evaluation.seed,
        columns=tuple(_marginal(schema[name], *tables) for name in shown),
        left_out=_cut(left_out),
        associations=_associations(evaluation, real, synthetic),
        distances=_distances(evaluation),
    )


def bin_edges(values: np.ndarray, whole: bool = False) -> np.ndarray:
    """Edges of up to about 20 bins of round width over the middle 98 % of some values.

    Args:
        values: finite, of shape ``(values,)``.
        whole: whether they are whole numbers: these stand in the middle of a bin, so that no edge divides them.
    """
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = (float(q) for q in np.quantile(values, ENDS, method="nearest"))
    with np.errstate(over="ignore"):
        edges = _round_edges(low, high, BINS, whole)
    if len(edges) > 1 and (np.diff(edges) > 0).all() and np.isfinite(edges).all():
        return edges
    # A single value, or a range that has no bins of floats.
    half = max(0.5, abs(low) / 1000, (high / 2 - low / 2))
    return np.array([max(low / 2 + high / 2 - half, -LARGEST_FLOAT), min(low / 2 + high / 2 + half, LARGEST_FLOAT)])


def _round_edges(low: float, high: float, bins: int, whole: bool = False) -> np.ndarray:
    """Edges of bins of equal round width that hold a range; none where floats cannot tell them apart."""
    raw = (high - low) / bins
    if not 0 < raw < math.inf:
        return np.empty(0)
    scale = 10.0 ** math.floor(math.log10(raw))
    widths = [scale * nice for nice in NICE if not whole or (scale * nice).is_integer()] or [1.0]
    width = next((w for w in widths if w >= raw), widths[-1])
    shift = 0.5 if whole else 0.0
    start = math.floor((low + shift) / width)
    stop = max(start + 1, math.floor((high + shift) / width) + 1)
    return np.array([float(f"{step * width - shift:.{DIGITS}g}") for step in range(start, stop + 1)])


def _marginal(column: Column, real: pd.DataFrame, synthetic: pd.DataFrame) -> Marginal:
    name, kind = column.name, column.kind.value
    if not column.numeric:
        labels, others = ([v for v in table[name] if v is not None] for table in (real, synthetic))
        counts, found = Counter(labels), Counter(others)
        frequent = sorted({**counts, **found}, key=lambda label: (-counts[label], -found[label], label))[:CATEGORIES]
        order = list(column.codes)
        if column.kind == "ordinal":
            frequent.sort(key=lambda label: order.index(label) if label in order else len(order))
        sides = (_labelled(counts, frequent, len(real)), _labelled(found, frequent, len(synthetic)))
        return Marginal(name=name[:LONGEST], kind=kind, categories=_cut(frequent), real=sides[0], synthetic=sides[1])
    numbers, made = (table[name].to_numpy(dtype=float) for table in (real, synthetic))
    known = numbers[np.isfinite(numbers)]
    edges = bin_edges(known, whole=bool((known == np.round(known)).all()))
    return Marginal(
        name=name[:LONGEST],
        kind=kind,
        edges=tuple(map(float, edges)),
        real=_binned(numbers, edges),
        synthetic=_binned(made, edges),
    )


def _binned(values: np.ndarray, edges: np.ndarray) -> Side:
    missing = np.isnan(values)
    counts = _counts(values[~missing], edges)
    return Side(shares=_shares(counts, len(values)), missing=significant(float(missing.mean())))


def _labelled(counts: Counter[str], labels: list[str], rows: int) -> Side:
    named, known = [counts[label] for label in labels], counts.total()
    other = significant((known - sum(named)) / rows)
    return Side(shares=_shares(np.array(named), rows), other=other, missing=significant((rows - known) / rows))


def _counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Values by bin; those beyond the edges are in the first and the last one."""
    bins = len(edges) - 1
    return np.bincount(np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1), minlength=bins)


def _shares(counts: np.ndarray, rows: int) -> tuple[float, ...]:
    return tuple(significant(count / rows) for count in counts.tolist())


def _associations(evaluation: Evaluation, real: np.ndarray, synthetic: np.ndarray) -> Associations | None:
    schema = evaluation.schema
    names, left_out = _shown(schema, MOST_ASSOCIATED)
    if len(names) < 2:
        return None
    numeric = [i for i, name in enumerate(schema.numeric) if name in names]
    categorical = [i for i, name in enumerate(schema.categorical) if name in names]
    stacked = [*(schema.numeric[i] for i in numeric), *(schema.categorical[i] for i in categorical)]
    order = [stacked.index(name) for name in names]
    triangles = []
    sides: tuple[tuple[Part, np.ndarray], ...] = (("train", real), ("synthetic", synthetic))
    for part, rows in sides:
        table = encoded(evaluation, part).take(rows).columns(numeric, categorical)
        matrix = association_matrix(table)[np.ix_(order, order)]
        triangles.append(tuple(tuple(_strength(v) for v in row[:i]) for i, row in enumerate(matrix.tolist())))
    return Associations(names=_cut(names), real=triangles[0], synthetic=triangles[1], left_out=_cut(left_out))


def _strength(value: float) -> float | None:
    return None if math.isnan(value) else significant(value)


def _distances(evaluation: Evaluation) -> Distances | None:
    if not comparable(evaluation):
        return None
    values = len(evaluation.train) * len(evaluation.schema.columns)
    most = min(MOST_ROWS, max(1, COMPARISONS // values))
    train, control = (closest(evaluation, side, most)[0] for side in ("train", "control"))
    high = max(LEAST_DISTANCE, float(np.quantile(np.concatenate([train, control]), ENDS[1])))
    edges = _round_edges(0.0, high, DISTANCE_BINS)
    return Distances(
        edges=tuple(edges.tolist()),
        train=_shares(_counts(train, edges), len(train)),
        control=_shares(_counts(control, edges), len(control)),
        rows=len(train),
        among=min(len(evaluation.train), len(evaluation.control)),
    )


def _shown(schema: TableSchema, most: int) -> tuple[list[str], list[str]]:
    """The first columns, the target in any case among them, and those left out; in the order of the schema."""
    first = [name for name in schema.names if name != schema.target][: most - (schema.target is not None)]
    shown = {*first, schema.target}
    return [n for n in schema.names if n in shown], [n for n in schema.names if n not in shown]


def _cut(names: list[str]) -> tuple[str, ...]:
    """Names and labels at the length that a portrait takes."""
    return tuple(name[:LONGEST] for name in names)
