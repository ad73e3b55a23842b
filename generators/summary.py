"""Summary statistics of train rows: what ``statistics`` access shows in the place of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from ..benchmarks.schema import Column, TableSchema

MIN_PAIRS = 10  # rows with both values known, below which a correlation says nothing


class Association(NamedTuple):
    """Pearson correlation ``r`` of two columns over the ``n`` rows in which both are known."""

    r: float
    n: int


def summarise(rows: pd.DataFrame, schema: TableSchema) -> dict[str, dict[str, Any]]:
    """Summary of every column, see :meth:`~.view.TrainView.statistics`."""
    summary: dict[str, dict[str, Any]] = {}
    for column in schema.columns:
        values = rows[column.name]
        facts: dict[str, Any] = {"missing": float(values.isna().mean())}
        known = values.dropna()
        if not column.numeric:
            facts["shares"] = {str(k): float(v) for k, v in known.value_counts(normalize=True).items()}
        elif len(known):
            facts |= {"mean": float(known.mean()), "sd": float(known.std(ddof=0))}
            facts |= {"min": float(known.min()), "max": float(known.max())}
            facts["quantiles"] = [float(q) for q in known.quantile([0.05, 0.25, 0.5, 0.75, 0.95])]
        summary[column.name] = facts
    return summary


def associate(rows: pd.DataFrame, schema: TableSchema) -> dict[tuple[str, str], Association]:
    """Pearson correlation of every two columns, see :meth:`~.view.TrainView.associations`."""
    import numpy as np
    import pandas as pd

    scores: dict[str, pd.Series] = {}
    owner: dict[str, str] = {}
    for column in schema.columns:
        for name, values in _scores(rows[column.name], column, schema).items():
            scores[name], owner[name] = values, column.name
    table = pd.DataFrame(scores)
    matrix = table.corr(min_periods=MIN_PAIRS).to_numpy()
    known = table.notna().to_numpy(dtype=int)
    counts = known.T @ known
    names = list(scores)
    return {
        (a, b): Association(float(matrix[i, j]), int(counts[i, j]))
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i < j and owner[a] != owner[b] and np.isfinite(matrix[i, j])
    }


def indicated(column: Column, schema: TableSchema) -> str:
    """The code of a column with two codes that counts as one, the other as zero."""
    return schema.positive if column.name == schema.target and schema.positive else list(column.codes)[-1]


def _scores(values: pd.Series, column: Column, schema: TableSchema) -> dict[str, pd.Series]:
    """A column as numbers: itself, the ranks of its ordered codes, or an indicator for each of its codes."""
    if column.numeric:
        return {column.name: values.astype(float)}
    codes = list(column.codes)
    if len(codes) == 2:
        return {column.name: (values == indicated(column, schema)).astype(float).where(values.notna())}
    if column.kind == "ordinal":
        return {column.name: values.map({code: i for i, code in enumerate(codes)}).astype(float)}
    return {f"{column.name}={code}": (values == code).astype(float).where(values.notna()) for code in codes}
