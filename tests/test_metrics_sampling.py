"""Rows drawn from large tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
from metric_tables import WARD, evaluation, ward
from synthward.benchmarks.schema import TableSchema
from synthward.metrics import Evaluation, Value, metric
from synthward.metrics.sampling import drawn


def _rows(evaluated: Evaluation, most: int) -> list[str]:
    table = evaluated.synthetic[list(WARD.names)].iloc[drawn(evaluated, "synthetic", most)]
    return sorted(map(str, table.to_numpy().tolist()))


def test_draw_depends_on_neither_the_order_of_rows_nor_of_columns() -> None:
    table = ward(400, 4)
    schema = TableSchema(**{**dict(WARD), "columns": tuple(reversed(WARD.columns))})
    mixed = table.sample(frac=1, random_state=1).reset_index(drop=True)
    parts = {part: ward(50, i)[list(schema.names)] for i, part in enumerate(("train", "control", "test"))}
    assert _rows(evaluation(table), 60) == _rows(evaluation(mixed, schema, **parts), 60)


def test_other_seeds_draw_other_rows_and_few_rows_are_all_taken() -> None:
    table = ward(400, 4)
    evaluated = evaluation(table)
    other = Evaluation(**{**vars(evaluated), "seed": 1, "shared": {}})
    assert len(drawn(evaluated, "synthetic", 60)) == len(set(drawn(evaluated, "synthetic", 60))) == 60
    assert _rows(evaluated, 60) != _rows(other, 60)
    assert drawn(evaluated, "synthetic", 400).tolist() == list(range(400))


def test_every_row_is_as_likely_as_any_other() -> None:
    """Copies of one row too: they are drawn one by one, not all or none."""
    table = pd.concat([ward(100, 4), *[ward(1, 5)] * 100], ignore_index=True)
    counts = np.zeros(200)
    for seed in range(300):
        evaluated = Evaluation(**{**vars(evaluation(table)), "seed": seed, "shared": {}})
        counts[drawn(evaluated, "synthetic", 50)] += 1
    # 300 draws of a quarter of the rows: 75 +- 7.5 for one row, 7,500 +- 4.3 for the hundred copies if they go alone.
    assert abs(counts[:100] - 75).max() < 35
    assert abs(counts[100:].sum() - 7500) < 300


def test_measurement_says_what_was_drawn_from_what() -> None:
    @metric(family="fidelity", direction="max", ideal=1.0, definition="A share of drawn rows.")
    def of_some(evaluation: Evaluation) -> list[Value]:
        rows = drawn(evaluation, "synthetic", 10)
        return [
            Value(1.0, "some", n=len(rows), population=len(evaluation.synthetic)),
            Value(1.0, "all", n=len(evaluation.synthetic), population=len(evaluation.synthetic)),
        ]

    some, everything = of_some.measure(Evaluation(**{**vars(evaluation(ward(30, 4))), "seed": 7}))
    assert (some.n, some.population, some.sample_seed) == (10, 30, 7)
    assert (everything.n, everything.population, everything.sample_seed) == (30, None, None)
