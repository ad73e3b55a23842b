"""What learners trained on one table of an evaluation predict for another: the work that the utility metrics share.

Learners see at most ``MOST_ROWS`` rows of a table, and predict at most as many. Which rows of a real table are drawn,
and all that a model of the train rows predicts of the test rows, does not depend on the synthetic table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..base import Evaluation, Value
from ..sampling import drawn
from .learners import LEARNERS, REGRESSORS, Builder, Model, Training, UntrainableError, targets
from .references import LIBRARIES, kept
from .scores import Score, UndefinedScoreError

if TYPE_CHECKING:
    import pandas as pd

Side = Literal["synthetic", "train", "both"]
Tested = Literal["test", "synthetic"]

MOST_ROWS = 50_000


@dataclass(frozen=True)
class Predictions:
    """What learners trained on one table predict for the rows of another with a known target.

    Attributes:
        rows: numbers of these rows, shape ``(rows,)``.
        truth: number of the class of every row, or the target itself where it is a number, shape ``(rows,)``.
        population: rows with a known target that there are.
        by_learner: what :meth:`.learners.Model.predict` gives. An exception's text stands in for a learner that failed.
        note: what limits the predictions: a training side with a single class.
    """

    rows: np.ndarray
    truth: np.ndarray
    population: int
    by_learner: dict[str, np.ndarray | str]
    note: str = ""


def learners(evaluation: Evaluation) -> dict[str, Builder]:
    """The learners for the kind of target."""
    return REGRESSORS if evaluation.schema.task == "regression" else LEARNERS


def predictions(
    evaluation: Evaluation,
    side: Side,
    tested: Tested = "test",
    builders: Mapping[str, Builder] | None = None,
    libraries: Sequence[str] = LIBRARIES,
) -> Predictions | str:
    """Train learners on one table and predict the target of another.

    Args:
        evaluation: with a target.
        side: what to train on; ``both`` is train and synthetic rows together.
        tested: what to predict.
        builders: learners by name; by default those for the kind of target.
        libraries: distributions whose versions bear on the predictions.

    Returns:
        The predictions, or why there are none.
    """
    named = learners(evaluation) if builders is None else builders

    def compute() -> Predictions | str:
        try:
            return _predictions(evaluation, side, tested, named, libraries)
        except UntrainableError as error:
            return str(error)

    return evaluation.once(("predictions", side, tested, tuple(named)), compute)


def model(evaluation: Evaluation, side: Side, name: str, build: Builder) -> Model:
    """One learner, trained on one table.

    Raises:
        UntrainableError: the table has no row with a known target.
    """
    return evaluation.once(("model", side, name), lambda: training(evaluation, side).fit(build, evaluation.seed))


def training(evaluation: Evaluation, side: Side) -> Training:
    """The rows of one table that learners are trained on.

    Raises:
        UntrainableError: it has no row with a known target.
    """
    return evaluation.once(("training", side), lambda: Training.of(evaluation.schema, _table(evaluation, side)))


def rows_to_predict(evaluation: Evaluation, tested: Tested, most: int) -> tuple[np.ndarray, int]:
    """Draw the rows to predict among those of a table whose target is known.

    Returns:
        Ascending row numbers, and how many rows with a known target there are.

    Raises:
        UntrainableError: there is none.
    """
    known = ~np.isnan(targets(evaluation.schema, getattr(evaluation, tested)))
    rows = _drawn(evaluation, tested, most)
    rows = rows[known[rows]]
    if not len(rows):
        raise UntrainableError(f"no {tested} row has a known target")
    return rows, int(known.sum())


def score_values(evaluation: Evaluation, predicted: Predictions | str, score: Score) -> list[Value]:
    """The mean of a score over the learners, then that of each learner."""
    if isinstance(predicted, str):
        return [Value(None, variant, reason=predicted) for variant in ("mean", *learners(evaluation))]
    values = [learner_value(evaluation, predicted, learner, score) for learner in predicted.by_learner]
    return [mean_of_learners(values), *values]


def learner_value(evaluation: Evaluation, predicted: Predictions, learner: str, score: Score) -> Value:
    """The score of one learner."""
    n, population = len(predicted.truth), predicted.population
    output = predicted.by_learner[learner]
    if isinstance(output, str):
        return Value(None, learner, n=n, population=population, reason=output)
    try:
        value, by_class = score(evaluation.schema, predicted.truth, output)
    except UndefinedScoreError as error:
        return Value(None, learner, n=n, population=population, reason=str(error))
    return Value(value, learner, n=n, population=population, breakdown=dict(by_class), reason=predicted.note)


def mean_of_learners(values: Sequence[Value]) -> Value:
    """Mean over the learners that gave a value, by class too, with the reason of those that did not."""
    known = [v for v in values if v.value is not None]
    reason = next((v.reason for v in values if v.reason), "")
    n, population = values[0].n, values[0].population
    if not known:
        return Value(None, "mean", n=n, population=population, reason=reason)
    by_class = {code: _mean([v.breakdown[code] for v in known]) for code in known[0].breakdown}
    value = _mean([v.value for v in known])
    return Value(value, "mean", n=n, population=population, breakdown=dict(by_class), reason=reason)


def _mean(values: Sequence[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def _predictions(
    evaluation: Evaluation, side: Side, tested: Tested, builders: Mapping[str, Builder], libraries: Sequence[str]
) -> Predictions:
    rows, population = rows_to_predict(evaluation, tested, MOST_ROWS)
    note = _note(evaluation, side)
    table: pd.DataFrame = getattr(evaluation, tested).iloc[rows]

    def encoded() -> np.ndarray:
        key = ("encoded for learners", side, tested)
        return evaluation.once(key, lambda: training(evaluation, side).encoder.transform(table))

    schema = evaluation.schema
    assert schema.target is not None
    shape = (len(rows),) if schema.task == "regression" else (len(rows), len(schema[schema.target].codes))
    by_learner: dict[str, np.ndarray | str] = {}
    for name, build in builders.items():

        def compute(name: str = name, build: Builder = build) -> np.ndarray:
            return model(evaluation, side, name, build).predict(encoded())

        try:
            reference = side == "train" and tested == "test"
            what = f"predictions of {name}"
            by_learner[name] = kept(evaluation, what, shape, compute, libraries) if reference else compute()
        except Exception as error:  # one learner's failure must not take the others with it
            by_learner[name] = f"{type(error).__name__}: {error}"
    return Predictions(rows, targets(schema, table), population, by_learner, note)


def _note(evaluation: Evaluation, side: Side) -> str:
    """What is to be said of a training side with a single class.

    Raises:
        UntrainableError: it has no row with a known target.
    """
    schema = evaluation.schema
    y = targets(schema, _table(evaluation, side))
    y = y[~np.isnan(y)]
    if not len(y):
        raise UntrainableError("no row of the training side has a known target")
    if schema.task == "regression" or (y != y[0]).any():
        return ""
    assert schema.target is not None
    code = list(schema[schema.target].codes)[int(y[0])]
    return f"the training side holds the class '{code}' only: a constant prediction"


def _table(evaluation: Evaluation, side: Side) -> pd.DataFrame:
    """The rows to train on, those without a target included."""
    import pandas as pd

    if side != "both":
        table: pd.DataFrame = getattr(evaluation, side)
        return table.iloc[_drawn(evaluation, side, MOST_ROWS)]
    rows_to_predict(evaluation, "synthetic", MOST_ROWS)  # without which there is nothing to add
    return pd.concat([_table(evaluation, "train"), _table(evaluation, "synthetic")], ignore_index=True)


def _drawn(evaluation: Evaluation, part: Literal["train", "test", "synthetic"], most: int) -> np.ndarray:
    """Row numbers, as :func:`..sampling.drawn`; of a real table the same beside any synthetic one."""
    rows = len(getattr(evaluation, part))
    if rows <= most:
        return np.arange(rows)
    return drawn(evaluation if part == "synthetic" else real_rows(evaluation), part, most)


def real_rows(evaluation: Evaluation) -> Evaluation:
    """The evaluation without its synthetic rows, whose labels would bear on the codes of the others."""
    return evaluation.once(
        "real rows alone", lambda: replace(evaluation, synthetic=evaluation.synthetic.iloc[:0], shared={})
    )
