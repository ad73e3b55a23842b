"""The contract of a generator as checks with readable verdicts.

``synthward check my_pkg.MyGenerator`` and the project's own tests run these. A faulty generator makes a
verdict, never an exception.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..benchmarks.dataset import Split
from ..benchmarks.schema import TableSchema
from .base import Generator, missing_requirement
from .view import Access, AccessDeniedError, TrainView

if TYPE_CHECKING:
    import pandas as pd

ROWS = 120
TOLERANCE = 0.15

Make = Callable[[], Generator]


@dataclass(frozen=True)
class Verdict:
    """Outcome of one check.

    Attributes:
        name: what was checked.
        passed: whether the generator keeps this part of the contract.
        message: one line: what is wrong and what to do, or a fact worth knowing.
    """

    name: str
    passed: bool
    message: str = ""


class _FaultError(Exception):
    """A generator broke the contract so that no further check makes sense."""


def specimen() -> tuple[TableSchema, Split]:
    """A small mixed table with missing values, made from a seed: 150 train, 40 control and 40 test rows."""
    import numpy as np
    import pandas as pd

    schema = TableSchema.model_validate(
        {
            "columns": {
                "age": {"kind": "integer", "unit": "years", "bounds": [18, 95], "meaning": "age at admission"},
                "creatinine": {"kind": "continuous", "unit": "mg/dL", "bounds": [0.2, 15], "decimals": 2},
                "albumin": {"kind": "continuous", "bounds": [1, 6], "decimals": 1, "missing": True},
                "bilirubin": {"kind": "continuous", "bounds": [0.1, 30], "decimals": 1, "missing": True},
                "sex": {"kind": "categorical", "codes": {"f": "female", "m": "male"}},
                "ward": {"kind": "categorical", "codes": ["medical", "surgical", "other"], "missing": True},
                "stage": {"kind": "ordinal", "codes": [1, 2, 3, 4]},
                "died": {"kind": "categorical", "codes": {0: "no", 1: "yes"}},
            },
            "target": "died",
            "task": "binary",
            "positive": 1,
            "sensitive": ["sex"],
        }
    )
    rng = np.random.default_rng(20)
    n = 230
    severity = rng.normal(size=n)
    unmeasured = rng.random(n) < 0.2
    table = pd.DataFrame(
        {
            "age": (62 + 9 * severity + 8 * rng.normal(size=n)).round().clip(18, 95),
            "creatinine": np.exp(0.1 + 0.3 * severity + 0.3 * rng.normal(size=n)).round(2).clip(0.2, 15),
            "albumin": (3.8 - 0.4 * severity + 0.4 * rng.normal(size=n)).round(1).clip(1, 6),
            "bilirubin": np.exp(0.3 + 0.6 * severity + 0.5 * rng.normal(size=n)).round(1).clip(0.1, 30),
            "sex": rng.choice(["f", "m"], n),
            "ward": rng.choice(["medical", "surgical", "other"], n, p=[0.5, 0.3, 0.2]).astype(object),
            "stage": np.digitize(severity + 0.5 * rng.normal(size=n), [-0.8, 0.2, 1.1]) + 1,
            "died": (severity + rng.normal(size=n) > 0.6).astype(int),
        }
    )
    table.loc[unmeasured, ["albumin", "bilirubin"]] = np.nan
    table.loc[rng.random(n) < 0.2, "ward"] = None
    table = schema.canonical(table)
    train, control, test = (table.iloc[a:b].reset_index(drop=True) for a, b in ((0, 150), (150, 190), (190, n)))
    return schema, Split(train, control, test)


def check_generator(make: Make, schema: TableSchema, split: Split) -> Iterator[Verdict]:
    """Hold a generator against the contract of :class:`~.base.Generator`.

    Args:
        make: builds the generator anew at every call.
        schema: card of the table.
        split: table to try it on; :func:`specimen` makes a small one.

    Yields:
        A verdict for each check, until one makes the next ones pointless.
    """
    try:
        yield from _checks(make, schema, split)
    except _FaultError as fault:
        name, _, message = str(fault).partition("\n")
        yield Verdict(name, False, message)


def _checks(make: Make, schema: TableSchema, split: Split) -> Iterator[Verdict]:
    import pandas as pd

    generator = _attempt("construct", make)
    if not isinstance(generator, Generator):
        raise _FaultError("construct\nis not a generator: subclass synthward.generators.Generator")
    lacking = missing_requirement(type(generator))
    if lacking:
        raise _FaultError(f"requires\n{lacking}")
    yield _declared(generator)
    yield _parameters(generator)
    reason = _attempt("supports", generator.supports, schema)
    if reason is not None and not (isinstance(reason, str) and reason):
        raise _FaultError(f"supports\nreturned {reason!r}: give a reason in words, or None if the table is supported")
    yield Verdict("supports", True, f"not this table: {reason}" if reason else "")
    if reason:
        return

    before = copy.deepcopy(split)
    first = _table(make, schema, split, 1, 2)
    unchanged = all(a.equals(b) for a, b in zip(vars(split).values(), vars(before).values(), strict=True))
    yield _judge("input", unchanged, "changed the table it was fitted on: work on a copy")
    yield Verdict("access", True, f"fits with '{generator.access}' access")
    yield from _shape(first.raw, schema)
    table = _attempt("canonical", schema.canonical, first.raw)
    yield from _values(table, schema)
    yield _missing(table, generator, split.train)
    yield _details(first.generator)

    again = _canonical(_attempt("sample", first.generator.sample, ROWS, 2), schema)
    yield _judge(
        "same seed, sampled again",
        table.equals(again),
        "two samples with one seed differ: draw all randomness of `sample` from the seed",
    )
    other = _canonical(_attempt("sample", first.generator.sample, ROWS, 3), schema)
    yield _judge(
        "other seed",
        not table.equals(other),
        "two seeds give one table: `sample` does not use its seed",
    )
    # A library that draws from the process's own generators must not notice what ran before it.
    _disturb()
    refitted = _canonical(_table(make, schema, before, 1, 2).raw, schema)
    yield _judge(
        "same seed, fitted again",
        table.equals(refitted),
        "two fits with one seed differ: draw all randomness of `fit` and `sample` from the seeds",
    )
    few = _attempt("sample", first.generator.sample, 1, 2)
    yield _judge("one row", isinstance(few, pd.DataFrame) and len(few) <= 1, "gave more rows than the one asked for")


@dataclass(frozen=True)
class _Made:
    generator: Generator
    raw: pd.DataFrame


def _table(make: Make, schema: TableSchema, split: Split, fit_seed: int, sample_seed: int) -> _Made:
    import pandas as pd

    generator = _attempt("construct", make)
    view = TrainView(schema, split, generator.access)
    try:
        fitted = _attempt("fit", generator.fit, view, fit_seed)
    except AccessDeniedError as error:
        raise _FaultError(f"access\n{error}") from None
    if not isinstance(fitted, Generator):
        raise _FaultError("fit\nmust return self")
    raw = _attempt("sample", fitted.sample, ROWS, sample_seed)
    if not isinstance(raw, pd.DataFrame):
        raise _FaultError(f"sample\nreturned {type(raw).__name__}: return a pandas DataFrame")
    return _Made(fitted, raw)


def _attempt(name: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """Call into the generator; whatever it raises becomes the verdict on check ``name``."""
    try:
        return call(*arguments)
    except AccessDeniedError:
        raise
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split()) or "without a message"
        raise _FaultError(f"{name}\nraised {type(error).__name__}: {text}") from None


def _canonical(raw: Any, schema: TableSchema) -> Any:
    return _attempt("canonical", schema.canonical, raw)


def _judge(name: str, passed: bool, message: str) -> Verdict:
    return Verdict(name, passed, "" if passed else message)


def _declared(generator: Generator) -> Verdict:
    if not isinstance(generator.access, Access):
        tiers = ", ".join(f"Access.{tier.name}" for tier in Access)
        raise _FaultError(f"declarations\n`access` is {generator.access!r}: declare one of {tiers}")
    known = generator.missing in ("reproduced", "imputed")
    return _judge("declarations", known, f"`missing` is {generator.missing!r}: declare 'reproduced' or 'imputed'")


def _parameters(generator: Generator) -> Verdict:
    """Rebuilt from the parameters that it stores, a generator stores the same ones."""
    name = "parameters"
    parameters = [
        p.name
        for p in inspect.signature(type(generator)).parameters.values()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    lost = [p for p in parameters if not hasattr(generator, p)]
    if lost:
        return Verdict(name, False, f"__init__ does not store {', '.join(lost)} under its own name")
    stored = {p: getattr(generator, p) for p in parameters}
    rebuilt = _attempt(name, functools.partial(type(generator), **stored))
    changed = [p for p in parameters if not _same(getattr(rebuilt, p), stored[p])]
    return _judge(name, not changed, f"__init__ changes {', '.join(changed)}: store parameters as they are given")


def _same(a: Any, b: Any) -> bool:
    return a is b or bool(type(a) is type(b) and a == b)


def _shape(raw: pd.DataFrame, schema: TableSchema) -> Iterator[Verdict]:
    names = [str(c) for c in raw.columns]
    lacking = [c for c in schema.names if c not in names]
    unknown = [c for c in names if c not in schema.names]
    faults = [f"lacks {', '.join(lacking)}"] if lacking else []
    faults += [f"has unknown {', '.join(unknown)}"] if unknown else []
    yield _judge("columns", not faults, f"the table {' and '.join(faults)}: return exactly the schema's columns")
    if faults:
        raise _FaultError("values\nnot checked: the columns are wrong")
    yield _judge("rows", len(raw) == ROWS, f"returned {len(raw)} rows when asked for {ROWS}")


def _values(table: pd.DataFrame, schema: TableSchema) -> Iterator[Verdict]:
    import numpy as np

    infinite = [c for c in schema.numeric if np.isinf(table[c]).any()]
    yield _judge("finite numbers", not infinite, f"infinite values in {', '.join(infinite)}")
    foreign = [
        f"{c} ({', '.join(sorted(extra)[:3])})"
        for c in schema.categorical
        if (extra := {str(v) for v in table[c].dropna()} - set(schema[c].codes))
    ]
    yield _judge("codes", not foreign, f"values that are no codes of the card in {'; '.join(foreign)}")
    broken = [
        c.name
        for c in schema.columns
        if c.kind == "integer" and (table[c.name].dropna() != table[c.name].dropna().round()).any()
    ]
    yield _judge("whole numbers", not broken, f"fractions in the integer columns {', '.join(broken)}: round them")


def _missing(table: pd.DataFrame, generator: Generator, train: pd.DataFrame) -> Verdict:
    """The share of missing values over the columns that have any in training."""
    name = f"missing values {generator.missing}"
    columns = [c for c in train.columns if train[c].isna().any()]
    if generator.missing == "imputed":
        left = [c for c in table.columns if table[c].isna().any()]
        return _judge(name, not left, f"declares that it leaves no missing value, but {', '.join(left)} has some")
    if not columns:
        return Verdict(name, True, "the table has none")
    real, made = float(train[columns].isna().mean().mean()), float(table[columns].isna().mean().mean())
    message = (
        f"{made:.0%} of the values are missing, {real:.0%} in training: reproduce them, or declare missing = 'imputed'"
    )
    return _judge(name, abs(real - made) <= TOLERANCE, message)


def _details(generator: Generator) -> Verdict:
    details = _attempt("details", generator.details)
    try:
        json.dumps(details, allow_nan=False)
    except (TypeError, ValueError) as error:
        return Verdict("details", False, f"details() must be JSON: {error}")
    return _judge("details", isinstance(details, dict), f"details() returned {type(details).__name__}, not a dict")


def _disturb() -> None:
    """Leave the global generators of the process in a state that no seed would give."""
    import sys

    import numpy as np

    random.seed()
    np.random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].seed()
