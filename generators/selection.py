"""Which train rows are shown as examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ..benchmarks.schema import TableSchema

Choice = Literal["random", "stratified", "diverse"]


def choose(rows: pd.DataFrame, schema: TableSchema, k: int, how: Choice, seed: int) -> np.ndarray:
    """Choose ``k`` rows without replacement.

    Args:
        rows: canonical table of shape ``(n, columns)``.
        schema: of the table.
        k: number of rows; all are chosen where there are no more.
        how: ``random``; ``stratified``: every class of the target gets its share of them, and one at least
            where ``k`` allows; ``diverse``: each row the furthest from those chosen before it.
        seed: of the choice.

    Returns:
        Positions of the rows, shape ``(min(k, n),)``, in random order (``diverse``: in order of choice).
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    order: np.ndarray = rng.permutation(len(rows))
    k = min(k, len(rows))
    if how == "diverse" and k:
        return _furthest(_coordinates(rows, schema), k, int(order[0]))
    if how == "stratified" and schema.target in schema.categorical:
        return rng.permutation(_by_class(order, rows[str(schema.target)].astype(str).to_numpy()[order], k))
    return order[:k]


def _by_class(order: np.ndarray, classes: np.ndarray, k: int) -> np.ndarray:
    """``k`` of the rows: one of each class first, the rest so that the classes keep their shares."""
    import numpy as np

    place = np.zeros(len(order))  # how far into its own class a row stands, from 0 to 1
    for label in np.unique(classes):
        of_class = np.flatnonzero(classes == label)
        place[of_class] = (np.arange(len(of_class)) + 0.5) / len(of_class)
        place[of_class[0]] = -len(of_class) / len(order)  # the first of each, the largest class first
    return order[np.argsort(place, kind="stable")[:k]]


def _coordinates(rows: pd.DataFrame, schema: TableSchema) -> np.ndarray:
    """Rows as points: numbers in standard deviations, codes as indicators, a gap as a coordinate of its own."""
    import numpy as np

    parts = []
    for column in schema.columns:
        values = rows[column.name]
        if column.numeric:
            numbers = values.to_numpy(dtype=float)
            known = numbers[~np.isnan(numbers)]
            spread = (known.std() if len(known) else 0.0) or 1.0
            centre = known.mean() if len(known) else 0.0
            parts.append(np.nan_to_num((numbers - centre) / spread)[:, None])
        else:
            parts.append(np.column_stack([(values == code).to_numpy(dtype=float) for code in column.codes]))
        parts.append(values.isna().to_numpy(dtype=float)[:, None])
    return np.hstack(parts)


def _furthest(points: np.ndarray, k: int, first: int) -> np.ndarray:
    """Greedy k-centre: each point the furthest from those chosen before it."""
    import numpy as np

    chosen = [first]
    distance = np.linalg.norm(points - points[first], axis=1)
    while len(chosen) < k:
        distance[chosen] = -1.0
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.array(chosen)
