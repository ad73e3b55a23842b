"""Subgroups: what harms one group of patients alone shows as a gap, and names the group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from metric_tables import WARD, evaluation, ward
from sklearn.metrics import roc_auc_score
from synthward.benchmarks.schema import TableSchema
from synthward.metrics import Evaluation, get
from synthward.metrics.utility.predictions import predictions
from synthward.results.record import Measurement, Status

SENSITIVE = TableSchema(**{**dict(WARD), "sensitive": ("sex", "age", "unit")})


def gap(evaluation: Evaluation) -> dict[str, Measurement]:
    return {m.variant: m for m in get("subgroup_gap").measure(evaluation)}


def test_subgroups_are_labels_and_the_halves_of_a_number() -> None:
    train = ward(300, 1)
    found = gap(evaluation(ward(300, 4), SENSITIVE, train=train, test=ward(300, 3)))
    median = f"{train['age'].median():g}"
    units = [f"unit = {code}" for code in SENSITIVE["unit"].codes]
    expected = {f"age <= {median}", f"age > {median}", "sex = f", "sex = m", *units}
    for variant in ("column_shapes", "tstr_auroc"):
        scores = found[variant].breakdown
        assert set(scores) == expected
        assert found[variant].value == pytest.approx(max(scores.values()) - min(scores.values()))
        assert found[variant].n == 7


def test_test_rows_themselves_have_no_gap_in_shape() -> None:
    test = ward(200, 3)
    found = gap(evaluation(test.copy(), SENSITIVE, test=test))["column_shapes"]
    assert found.value == 0
    assert set(found.breakdown.values()) == {1.0}


def test_scores_of_a_subgroup_are_those_of_its_rows_alone() -> None:
    synthetic, test = ward(300, 4), ward(240, 3)
    evaluated = evaluation(synthetic, test=test)
    found = gap(evaluated)
    for sex in "fm":
        alone = replace(
            evaluated, synthetic=synthetic[synthetic["sex"] == sex], test=test[test["sex"] == sex], shared={}
        )
        shapes = get("column_shapes").measure(alone)[0].breakdown
        others = np.mean([score for name, score in shapes.items() if name != "sex"])
        assert found["column_shapes"].breakdown[f"sex = {sex}"] == pytest.approx(others, abs=1e-12)
        predicted = predictions(evaluated, "synthetic")
        rows = (test["sex"] == sex).to_numpy()
        areas = [roc_auc_score(predicted.truth[rows], p[rows, 1]) for p in predicted.by_learner.values()]
        assert found["tstr_auroc"].breakdown[f"sex = {sex}"] == pytest.approx(np.mean(areas), abs=1e-12)


def test_harm_to_one_group_is_found() -> None:
    synthetic, tables = ward(800, 4), {"test": ward(800, 3), "train": ward(400, 1)}
    women = synthetic["sex"] == "f"
    swapped = synthetic["died"].map({"yes": "no", "no": "yes"})
    fair = gap(evaluation(synthetic, **tables))
    poor = gap(evaluation(synthetic.assign(lactate=synthetic["lactate"].where(~women, 9.0)), **tables))
    wrong = gap(evaluation(synthetic.assign(died=synthetic["died"].where(~women, swapped)), **tables))
    assert poor["column_shapes"].value > fair["column_shapes"].value + 0.05
    assert min(poor["column_shapes"].breakdown, key=poor["column_shapes"].breakdown.get) == "sex = f"
    assert wrong["tstr_auroc"].value > fair["tstr_auroc"].value + 0.2
    assert min(wrong["tstr_auroc"].breakdown, key=wrong["tstr_auroc"].breakdown.get) == "sex = f"


def test_small_subgroups_are_left_out_and_named() -> None:
    rare = ward(200, 4).assign(unit=["surgical"] * 19 + ["general"] * 181)
    found = gap(evaluation(rare, SENSITIVE, test=ward(400, 3)))["column_shapes"]
    assert found.status is Status.PARTIAL
    assert "unit = surgical" in found.reason
    assert "unit = cardiac" in found.reason
    assert found.breakdown["unit = surgical"] is None
    assert found.n == 5


def test_subgroups_of_one_class_have_no_area() -> None:
    test = ward(300, 3)
    test = test.assign(died=test["died"].where(test["sex"] == "m", "no"))
    found = gap(evaluation(ward(300, 4), test=test))
    assert found["column_shapes"].status is Status.OK
    assert found["tstr_auroc"].value is None
    assert "fewer than two subgroups" in found["tstr_auroc"].reason
    assert "sex = f" in found["tstr_auroc"].reason


def test_columns_without_groups_are_explained() -> None:
    unknown = ward(100, 1).assign(age=np.nan)
    schema = TableSchema(**{**dict(WARD), "sensitive": ("age",)})
    assert "fewer than two subgroups" in gap(evaluation(ward(100, 4), schema, train=unknown))["column_shapes"].reason
    nobody = TableSchema(**{**dict(WARD), "sensitive": ()})
    assert "sensitive column" in gap(evaluation(ward(100, 4), nobody))[""].reason
    staged = TableSchema(columns=WARD.columns, target="age", task="regression", sensitive=("sex",))
    found = gap(evaluation(ward(200, 4), staged))
    assert found["column_shapes"].value is not None
    assert "class target" in found["tstr_auroc"].reason


def test_rows_without_a_known_group_belong_to_none() -> None:
    synthetic, test = ward(200, 4), ward(200, 3)
    unknown = ward(60, 5).assign(sex=None, age=999.0)
    one = gap(evaluation(synthetic, test=test))
    two = gap(evaluation(synthetic, test=pd.concat([test, unknown], ignore_index=True)))
    assert two["tstr_auroc"].value == pytest.approx(one["tstr_auroc"].value)
    assert two["column_shapes"].value == pytest.approx(one["column_shapes"].value)
