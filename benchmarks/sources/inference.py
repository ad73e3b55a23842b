"""The form of a table read off its rows, for a card that leaves it open: kinds, codes, bounds, task."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from ..dataset import DatasetError
from ..schema import Kind, label
from .checks import FEW_ROWS, NEARLY_UNIQUE, check_known, check_names, check_target, drop_option

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Card = dict[str, Any]

FEW_LEVELS = 10  # integers with so many levels at most are codes, if the rows repeat them
ROWS_PER_LEVEL = 5
MANY_LEVELS = 20  # text with more levels than this, and than a tenth of the rows, is free text
MOST_DECIMALS = 6

DATE = re.compile(r"\d{4}-\d{1,2}(-\d{1,2})?([ T].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}( .*)?|\d{1,2}:\d{2}(:\d{2})?")
ID_ENDINGS = ("id", "mrn", "key", "index", "number", "nr", "patient", "subject", "case", "rownames")

POSITIVE = ("1", "yes", "y", "true", "positive", "pos", "dead", "died", "death", "event", "case", "present")


def describe_table(table: pd.DataFrame, target: str | None = None, name: str = "table") -> Card:
    """Infer a first card of a table.

    Args:
        table: of shape ``(rows, columns)``.
        target: the column to predict, if any.
        name: of the dataset.

    Returns:
        A card as it stands in ``conf/dataset/*.yaml``. Columns that cannot be benchmarked as they
        are - identifiers, constants, free text, dates - are not in ``columns`` but in ``drop``, with the reason.

    Raises:
        DatasetError: the table is too small, has duplicated column names, or nothing can be learnt of its target.
    """
    check_names(table, name)
    table = table.set_axis([str(c) for c in table.columns], axis=1)
    if target is not None:
        check_known("target", name, target, list(table.columns))
        check_target(table[target], name, numeric=True)
    found = {str(c): _describe(str(c), table[c]) for c in table.columns}
    columns = {c: spec for c, spec in found.items() if isinstance(spec, dict)}
    unfit = {c: reason for c, reason in found.items() if isinstance(reason, str)}
    if target in unfit:
        raise DatasetError(f"dataset '{name}': target '{target}' cannot be predicted: {unfit[target]}")
    if not columns:
        reasons = "; ".join(f"{c}: {r}" for c, r in list(unfit.items())[:3])
        raise DatasetError(f"dataset '{name}' has no column that can be benchmarked ({reasons})")
    card: Card = {"name": name, "title": name, "version": 1, "domain": "", "description": ""}
    card |= {"target": target, "licence": "", "citation": "", "url": "", "sharing": "local-only", "inferred": True}
    card |= {"sensitive": [], "rules": [], "columns": columns}
    return with_task(card) | ({"drop": unfit} if unfit else {})


def infer_card(table: pd.DataFrame, card: Card) -> Card:
    """Complete a card that has no columns by what the rows show.

    Raises:
        DatasetError: as ``describe_table``, or columns must be left out first; the message holds the option to add.
    """
    target = card.get("target")
    described = describe_table(table, None if target is None else str(target), str(card["name"]))
    unfit = described.pop("drop", {})
    if unfit:
        reasons = "; ".join(f"'{c}' {reason}" for c, reason in unfit.items())
        raise DatasetError(f"dataset '{card['name']}': {reasons}: leave out with {drop_option(unfit)}, or recode")
    return described | {k: v for k, v in card.items() if v not in (None, "", [], {})}


def with_task(card: Card) -> Card:
    """Fill in task and positive class of a target where the card leaves them open."""
    card = {k: v for k, v in card.items() if v is not None}
    target = card.get("target")
    column = (card.get("columns") or {}).get(target)
    if target is None or not isinstance(column, dict) or card.get("task"):
        return card
    codes = [label(c) for c in column.get("codes") or ()]
    if not codes:
        return {**card, "task": "regression"}
    if len(codes) != 2:
        return {**card, "task": "multiclass"}
    return {"positive": positive_code(codes), **card, "task": "binary"}


def positive_code(codes: list[str]) -> str:
    """Of two codes the one that names the event; the second one where neither does."""
    named = [c for c in codes if c.strip().lower() in POSITIVE]
    return named[0] if len(named) == 1 else codes[1]


def _describe(name: str, values: pd.Series) -> Card | str:
    """The description of one column, or the reason why it cannot be benchmarked as it is."""
    import numpy as np
    import pandas as pd

    known = values.dropna()
    if known.empty:
        return "is missing in every row"
    try:
        distinct = int(known.nunique())
    except TypeError:
        return "holds nested values"
    if distinct == 1:
        return "is constant"
    missing = {"missing": True} if len(known) < len(values) else {}
    if isinstance(values.dtype, pd.CategoricalDtype):
        kind = Kind.ORDINAL if values.dtype.ordered else Kind.CATEGORICAL
        return _codes(kind, [_label(v) for v in values.dtype.categories]) | missing
    if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        return "holds dates or times (turn them into a number, such as days since admission)"
    numbers = pd.to_numeric(known, errors="coerce")
    if pd.api.types.is_complex_dtype(numbers):
        return "holds complex numbers"
    if numbers.notna().all():
        spec = _describe_numbers(name, known, numbers.to_numpy(dtype=float), len(values))
    else:
        spec = _describe_text(np.asarray([_label(v) for v in known], dtype=object), numbers.notna().to_numpy())
    return spec if isinstance(spec, str) else spec | missing


def _describe_numbers(name: str, known: pd.Series, numbers: np.ndarray, rows: int) -> Card | str:
    import numpy as np

    if not np.isfinite(numbers).all():
        return "holds infinite values (make them missing)"
    levels = np.unique(numbers)
    low, high = float(levels[0]), float(levels[-1])
    if not (levels == np.round(levels)).all():
        decimals = next((d for d in range(1, MOST_DECIMALS + 1) if all(round(float(v), d) == v for v in levels)), None)
        spec = {"kind": "continuous", "meaning": "", "bounds": _around(low, high, 0)}
        return spec if decimals is None else spec | {"decimals": decimals}
    unique = len(levels) == len(numbers) == rows >= FEW_ROWS
    if unique and (name.lower().rstrip("s").endswith(ID_ENDINGS) or high - low + 1 == rows):
        return "is an identifier, another number in every row"
    if len(levels) == 2:
        return _codes(Kind.CATEGORICAL, _number_codes(known))
    if len(levels) <= FEW_LEVELS and len(numbers) >= ROWS_PER_LEVEL * len(levels):
        # A run of numbers without a gap is a scale or a grade; others are names.
        kind = Kind.ORDINAL if high - low + 1 == len(levels) else Kind.CATEGORICAL
        return _codes(kind, _number_codes(known))
    return {"kind": "integer", "meaning": "", "bounds": [int(b) for b in _around(low, high, 1)]}


def _number_codes(known: pd.Series) -> list[str]:
    """Codes in the order of their numbers; numbers written as text, such as '1.', keep their spelling."""
    import pandas as pd

    distinct = known.drop_duplicates()
    order = pd.to_numeric(distinct).astype(float).argsort(kind="stable")
    return list(dict.fromkeys(_label(distinct.iloc[i]) for i in order))


def _describe_text(texts: np.ndarray, is_number: np.ndarray) -> Card | str:
    levels = sorted(set(texts))
    if all(DATE.fullmatch(t.strip()) for t in levels):
        return "holds dates or times (turn them into a number, such as days since admission)"
    if len(texts) >= FEW_ROWS and len(levels) > NEARLY_UNIQUE * len(texts) and not is_number.any():
        return "has another text in nearly every row: an identifier or free text"
    if len(levels) > MANY_LEVELS and is_number.mean() > 0.5:
        example = next(t for t, number in zip(texts, is_number, strict=True) if not number)
        return f"mixes numbers with text such as {example!r} (make it missing or a number)"
    if len(levels) > max(MANY_LEVELS, len(texts) / 10):
        return f"holds free text, {len(levels)} different ones in {len(texts)} rows (group them)"
    return _codes(Kind.CATEGORICAL, levels)


def _codes(kind: Kind, codes: list[str]) -> Card:
    return {"kind": str(kind), "meaning": "", "codes": dict.fromkeys(codes, "")}


def _label(value: Any) -> str:
    return label(value.item() if hasattr(value, "item") else value)


def _around(low: float, high: float, least: float) -> list[float]:
    """Bounds a little wider than the values, and round: the extremes of a column are single patients."""
    span = high - low
    step = max(10 ** math.floor(math.log10(span)) / 2, least) if 0 < span < math.inf else 0
    if step == 0:
        return [low, high]
    lower, upper = math.floor(low / step) * step, math.ceil(high / step) * step
    return [min(low, round(lower, 12)), max(high, round(upper, 12))] if math.isfinite(lower - upper) else [low, high]
