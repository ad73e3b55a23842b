"""References: computed once for all generators of a dataset, and the same as without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from metric_tables import evaluation, ward
from synthward.benchmarks.cell import Limits, plan_cell
from synthward.benchmarks.isolation import Worker
from synthward.benchmarks.runner import run_cell
from synthward.metrics import Evaluation, get
from synthward.metrics.utility import learners as learners_module
from synthward.metrics.utility import references
from synthward.metrics.utility.learners import LEARNERS, Training
from synthward.metrics.utility.references import References
from synthward.results.published import publish
from synthward.results.record import Measurement, Status
from synthward.results.store import Store

REFERENCED = ("trtr_f1", "trtr_brier", "tstr_ratio", "importance_agreement")


def measure(name: str, evaluation: Evaluation) -> dict[str, Measurement]:
    return {m.variant: m for m in get(name).measure(evaluation)}


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of rows of every training."""
    rows: list[int] = []
    fit = Training.fit

    def counted(self: Training, *arguments: object) -> object:
        rows.append(len(self.x))
        return fit(self, *arguments)

    monkeypatch.setattr(Training, "fit", counted)
    return rows


def values(evaluation: Evaluation, names: tuple[str, ...] = REFERENCED) -> dict[tuple[str, str], float | None]:
    return {(name, v): m.value for name in names for v, m in measure(name, evaluation).items()}


def test_second_generator_of_a_dataset_trains_no_reference_again(tmp_path: Path, fits: list[int]) -> None:
    kept = References(tmp_path / "references", {"dataset": "a", "seed": 0})
    values(replace(evaluation(ward(90, 4)), references=kept))
    assert sorted(fits) == [90] * 4 + [120] * 4
    fits.clear()
    again = values(replace(evaluation(ward(90, 5)), references=kept))
    assert fits == [90] * 4
    assert again == values(evaluation(ward(90, 5)))
    for other in ({"dataset": "b", "seed": 0}, {"dataset": "a", "seed": 1}):
        fits.clear()
        values(replace(evaluation(ward(90, 5)), references=References(tmp_path / "references", other)), ("trtr_f1",))
        assert fits == [120] * 4


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "text", "foreign", "shape"])
def test_damaged_and_foreign_references_are_computed_anew(tmp_path: Path, damage: str) -> None:
    kept = References(tmp_path, {"dataset": "a"})
    array = np.linspace(0, 1, 500)
    kept.array("predictions of one", (500,), lambda: array)
    kept.array("predictions of two", (500,), lambda: 2 * array)
    one, two = sorted(tmp_path.iterdir())
    content = one.read_bytes()
    middle = len(content) // 3
    one.write_bytes(
        {
            "cut": content[:middle],
            "flipped": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
            "emptied": b"",
            "text": b"no array",
            "foreign": two.read_bytes(),
            "shape": content,
        }[damage]
    )
    size = 400 if damage == "shape" else 500
    calls: list[int] = []

    def compute() -> np.ndarray:
        calls.append(size)
        return array[:size]

    for _ in range(2):
        np.testing.assert_array_equal(kept.array("predictions of one", (size,), compute), array[:size])
    assert calls == [size], "computed once, and found the second time"


def test_reference_needs_no_disk_and_keeps_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    nowhere = replace(evaluation(ward(60, 4)), references=References(tmp_path / "file" / "references", {}))
    assert measure("trtr_f1", nowhere)["mean"].status is Status.OK

    def broken(seed: int) -> object:
        raise RuntimeError("no such device")

    kept = References(tmp_path / "kept", {})
    with monkeypatch.context() as patch:
        patch.setitem(learners_module.LEARNERS, "xgboost", broken)
        failed = measure("trtr_f1", replace(evaluation(ward(60, 4)), references=kept))
    assert failed["xgboost"].value is None
    assert measure("trtr_f1", replace(evaluation(ward(60, 4)), references=kept))["xgboost"].status is Status.OK


def test_other_libraries_compute_references_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = References(tmp_path, {})
    kept.array("one", (1,), lambda: np.zeros(1))
    monkeypatch.setattr(references, "_version", lambda library: "99")
    assert kept.array("one", (1,), lambda: np.ones(1)) == [1]


def test_cells_of_one_split_share_references_that_are_no_results(
    small_card: dict[str, Any], tmp_path: Path, worker: Worker
) -> None:
    store, limits = Store(tmp_path / "runs"), Limits(generate_seconds=60, evaluate_seconds=60, memory_mb=4096)

    def scored(generator: str, seed: int = 0, **protocol: object) -> tuple[float | None, dict[str, int]]:
        config = {"dataset": small_card, "generator": {"_target_": generator}, "protocol": protocol, "seed": seed}
        record = run_cell(plan_cell(config), ["trtr_auroc"], store, worker, limits)
        assert record.status is Status.OK
        kept = {path.name: path.stat().st_mtime_ns for path in (store.root / "references").iterdir()}
        return record.measurements[0].value, kept

    one, kept = scored("faulty.Fine")
    assert len(kept) == len(LEARNERS)
    assert scored("synthward.generators.reference.Marginals", name="other", ratio=2.0) == (one, kept)
    assert len(scored("faulty.Fine", seed=1)[1]) == len(scored("faulty.Fine", split_seed=1)[1]) - 4 == 8
    made = list(store.records())
    assert len(made) == 4
    assert publish(store, made, tmp_path / "published") == 0
    assert not [path for path in (tmp_path / "published").rglob("*") if path.suffix == ".npz"]
