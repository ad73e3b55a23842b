"""Score a synthetic table that somebody already has: no sweep, no configuration, no code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..leaderboard.scorecard import ColumnFacts, Scorecard, TableFacts
from ..metrics import Evaluation, Metric, get, registry
from ..results.errors import UserError
from .catalogue import metrics_of
from .dataset import DatasetCard
from .provenance import provenance
from .schema import Column, TableError, TableSchema
from .sources.file import TAKES, existing, read
from .sources.inference import describe_table, with_task
from .sources.loading import with_card_file

if TYPE_CHECKING:
    import pandas as pd

ROLES = ("real", "control", "test", "synthetic")
SUITE = "default"
SHOWN_CODES = 8

INFERRED = (
    "The columns were described from the rows of --real. Where that is wrong, correct it in a card: "
    "`synthward describe {real} --out card.yaml`, then --card card.yaml."
)
NO_CONTROL = (
    "Without --control, rows that the generator never saw, nothing tells what chance gives: privacy metrics that "
    "need them have no value."
)
TRAIN_IS_TEST = (
    "Without --control or --test, fidelity and utility are measured on the --real rows themselves, which the generator "
    "saw: a copy of them would be perfect."
)


def score(
    files: Mapping[str, Path],
    target: str | None = None,
    card: Path | None = None,
    metrics: Sequence[str] = (SUITE,),
    seed: int = 0,
    reading: Mapping[str, str] | None = None,
    track: Callable[[Sequence[Metric]], Iterable[Metric]] = iter,
) -> Scorecard:
    """Compare a synthetic table with real ones.

    Args:
        files: ``real`` (the rows that the generator learned from), ``synthetic``, and where there are such: ``control``
            and ``test`` (rows that it never saw; without ``test``, control rows serve as both).
        target: column that learners predict; a card's own if not given.
        card: YAML file with the schema card; inferred from the real rows if not given.
        metrics: names of metrics, and of suites in ``conf/metrics``.
        seed: of learners and draws.
        reading: options of the CSV files: ``sep``, ``encoding``, ``decimal``.
        track: shows progress over the metrics.

    Returns:
        What was measured; nothing that fails is left out.

    Raises:
        UserError: a file, the card or a name is wrong; one line says what to do.
    """
    chosen = _chosen(metrics)
    raw = {role: _read(role, files[role], reading or {}) for role in ROLES if role in files}
    name = files["real"].name.split(".")[0]
    given = with_card_file({"name": name, "target": target, "card": None if card is None else str(card)})
    inferred = not given.get("columns")
    described, notes = _inferred(given, raw["real"], files["real"]) if inferred else (with_task(given), [])
    left_out = [str(column) for column in described.pop("drop", None) or ()]
    schema = DatasetCard.parse({k: v for k, v in described.items() if k != "card"}).schema_
    tables = {role: _canonical(role, files[role], table, schema, left_out) for role, table in raw.items()}
    if "control" not in tables:
        notes.append(NO_CONTROL)
    if "control" not in tables and "test" not in tables:
        notes.append(TRAIN_IS_TEST)
    train, nobody = tables["real"], tables["real"].iloc[:0]
    control = tables.get("control", nobody)
    test = tables.get("test", control if len(control) else train)
    evaluation = Evaluation(schema, train, control, test, tables["synthetic"], seed=seed)
    measurements = tuple(m for metric in track(chosen) for m in metric.measure(evaluation))
    facts = (
        TableFacts(role=role, file=files[role].name, rows=len(table), sha256=_digest(files[role]))
        for role, table in tables.items()
    )
    return Scorecard(
        tables=tuple(facts),
        columns=tuple(_facts(column) for column in schema.columns),
        inferred=inferred,
        target=schema.target,
        seed=seed,
        notes=tuple(notes),
        measurements=measurements,
        cards={metric.card.name: metric.card for metric in chosen},
        software=provenance()["packages"],
    )


def _chosen(names: Sequence[str]) -> list[Metric]:
    """The metrics of some names and suites, without those that ask what a table alone cannot answer."""
    wanted = metrics_of(names)
    if not wanted:
        raise UserError(f"there is no metric in {', '.join(names)}: choose from {', '.join(registry())}")
    found = [get(name) for name in wanted]
    asked = [metric for metric in found if metric.card.name in names]
    return [m for m in found if m in asked or not {"costs", "language model"} & set(m.card.needs)]


def _read(role: str, path: Path, reading: Mapping[str, str]) -> pd.DataFrame:
    existing(str(path), f"--{role}", f"give {TAKES}")
    return read(str(path), **reading, option="--")


def _inferred(given: dict[str, Any], real: pd.DataFrame, path: Path) -> tuple[dict[str, Any], list[str]]:
    """What a card leaves open, read off the real rows; and what to say of it."""
    drop = [str(column) for column in given.get("drop") or ()]
    real = real.drop(columns=[c for c in real.columns if str(c) in drop])
    found = describe_table(real, given.get("target"), str(given["name"]))
    notes = [INFERRED.format(real=path)]
    if unfit := found.get("drop"):
        notes.append("Left out: " + "; ".join(f"{column} {reason}" for column, reason in unfit.items()) + ".")
    return {**found, **{k: v for k, v in given.items() if v}, "drop": [*drop, *(unfit or ())]}, notes


def _canonical(
    role: str, path: Path, table: pd.DataFrame, schema: TableSchema, left_out: Sequence[str]
) -> pd.DataFrame:
    table = table.drop(columns=[c for c in table.columns if str(c) in left_out])
    try:
        return schema.canonical(table)
    except TableError as error:
        raise TableError(f"--{role} {path}: {error}") from None


def _facts(column: Column) -> ColumnFacts:
    codes = [str(code) for code in column.codes]
    values = ", ".join(codes[:SHOWN_CODES]) + (f" and {len(codes) - SHOWN_CODES} more" * (len(codes) > SHOWN_CODES))
    if column.bounds is not None:
        values = f"{column.bounds[0]:g} to {column.bounds[1]:g}"
    return ColumnFacts(name=column.name, kind=column.kind.value, values=values, missing=column.missing)


def _digest(path: Path) -> str:
    with path.expanduser().open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
