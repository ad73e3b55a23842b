"""Whether a table can serve as a benchmark: one line for every way in which it cannot."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING

from ..dataset import DatasetCard, DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

NEARLY_UNIQUE = 0.9  # share of distinct values from which a text column names rows rather than groups
FEW_ROWS = 10  # below, many distinct values are no sign of anything


def check_names(table: pd.DataFrame, name: str) -> None:
    """Refuse a table with duplicated column names or without rows to learn from.

    Raises:
        DatasetError: so it is.
    """
    names = [str(c) for c in table.columns]
    twice = list(dict.fromkeys(c for c in names if names.count(c) > 1))
    if twice:
        raise DatasetError(f"dataset '{name}' has duplicated column names: {', '.join(twice)}; rename or remove them")
    if len(table) < 2 or not names:
        raise DatasetError(
            f"dataset '{name}' has {len(table)} row{'s' * (len(table) != 1)} and {len(names)} columns: "
            "too small to be split into train, control and test; give some hundred rows"
        )


def check_known(role: str, name: str, column: str, columns: list[str]) -> None:
    """Refuse a column that a table does not have.

    Raises:
        DatasetError: with the name that may have been meant, or those that there are.
    """
    if column in columns:
        return
    near = difflib.get_close_matches(column.lower(), [c.lower() for c in columns], n=1)
    by_lower = {c.lower(): c for c in reversed(columns)}
    hint = f"did you mean '{by_lower[near[0]]}'?" if near else f"it has {_shortened(columns)}"
    raise DatasetError(f"{role}: '{column}' is not a column of dataset '{name}'; {hint}")


def _shortened(columns: Iterable[str], limit: int = 12) -> str:
    names = list(columns)
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def check_table(table: pd.DataFrame, card: DatasetCard) -> None:
    """Refuse a canonical table that contradicts its card or cannot serve as a benchmark.

    Values out of *plausible* bounds are left alone: real tables have some.

    Raises:
        DatasetError: with one line that says what to do.
    """
    import numpy as np

    schema, name = card.schema_, card.name
    if schema.target is not None:
        check_target(table[schema.target], name, numeric=schema[schema.target].numeric)
    for column in schema.columns:
        values = table[column.name]
        if values.isna().any() and not column.missing:
            raise DatasetError(
                f"dataset '{name}': column '{column.name}' lacks {int(values.isna().sum())} values, "
                "but its card does not allow it: set `missing: true`"
            )
        if column.numeric:
            if np.isinf(values.to_numpy(dtype=float)).any():
                raise DatasetError(f"dataset '{name}': column '{column.name}' holds infinite values: make them missing")
            continue
        known = values.dropna()
        if len(known) >= FEW_ROWS and known.nunique() > NEARLY_UNIQUE * len(known):
            raise DatasetError(
                f"dataset '{name}': column '{column.name}' is {column.kind} but nearly every row has a value of its "
                f"own, like an identifier: leave it out with {drop_option([column.name])}"
            )
        unknown = sorted(set(known) - set(column.codes))
        if unknown:
            raise DatasetError(
                f"dataset '{name}': column '{column.name}' holds codes that its card does not list: "
                f"{', '.join(unknown[:5])}; add them under `codes`, or correct the rows"
            )


def check_target(target: pd.Series, name: str, *, numeric: bool) -> None:
    """Refuse a target that nothing can be learnt of.

    Raises:
        DatasetError: all or some values are missing, all are the same, or a class has one row.
    """
    lacking = int(target.isna().sum())
    if lacking == len(target):
        raise DatasetError(f"dataset '{name}': target '{target.name}' is missing in every row: choose another target")
    if lacking:
        raise DatasetError(
            f"dataset '{name}': target '{target.name}' is missing in {lacking} of {len(target)} rows: "
            "remove these rows from the file, or choose another target"
        )
    sizes = target.value_counts()
    if len(sizes) == 1:
        raise DatasetError(
            f"dataset '{name}': target '{target.name}' is constant, {sizes.index[0]} in every row: "
            "choose another target"
        )
    alone = [str(c) for c in sizes.index[sizes == 1]]
    if alone and not numeric:
        single = f"class {alone[0]}" if len(alone) == 1 else f"{len(alone)} classes, such as {alone[0]},"
        raise DatasetError(
            f"dataset '{name}': {single} of target '{target.name}' {'has' if len(alone) == 1 else 'have'} one row only "
            "and cannot be split: merge it with another class, or drop the row"
        )


def drop_option(columns: Iterable[str]) -> str:
    """The option that leaves columns out, ready to paste into a shell."""
    names = list(columns)
    if all(re.fullmatch(r"[A-Za-z][\w-]*", c, re.ASCII) for c in names):
        return f"dataset.drop=[{','.join(names)}]"
    return f"'dataset.drop={json.dumps(names, ensure_ascii=False)}'"
