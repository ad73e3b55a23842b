"""Records: sealed, strict, and readable after the format grew."""

import json

import pytest
from board_records import record
from synthward.results import record as module
from synthward.results.record import Frozen, Measurement, MetricCard, Record, canonical_json, cell_id
from synthward.results.store import DamagedRecordError, read_record


def a_record():
    made = record("ctgan", values={"m": 0.5}, cards={"m": MetricCard(name="m", definition="M.", **SHARE)})
    return made.model_copy(update={"id": cell_id(made.identity)})


SHARE = {"family": "fidelity", "direction": "max", "lower": 0.0, "upper": 1.0}


def test_a_record_survives_the_way_to_disk(tmp_path):
    kept = a_record().sealed()
    path = tmp_path / "record.json"
    path.write_text(kept.to_json())
    assert read_record(path) == kept
    assert json.loads(path.read_text())["record_version"] == module.RECORD_VERSION


def test_a_new_field_with_a_default_leaves_old_records_valid(tmp_path):
    class Grown(Record):
        mood: str = "calm"

    sealed = a_record().sealed()
    grown = Grown.model_validate_json(sealed.to_json())
    assert grown.verifies()
    assert not grown.model_copy(update={"mood": "tense"}).verifies()


@pytest.mark.parametrize(
    "change",
    [lambda r: r.update(seed=99), lambda r: r.update(status="error"), lambda r: r.update(digest="")],
    ids=["seed", "status", "no digest"],
)
def test_an_edited_record_does_not_verify(tmp_path, change):
    content = json.loads(a_record().sealed().to_json())
    change(content)
    path = tmp_path / "record.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedRecordError, match="digest"):
        read_record(path)


CONTRADICTIONS = {
    "its id is not that of its identity": {"id": "../../../../tmp/x"},
    "what it says of seed": {"seed": 99},
    "what it says of rows": {"rows_requested": 1},
    "there is no card for its metric m": {"cards": {}},
    "its m of 7 is out of bounds": {"measurements": (Measurement(metric="m", value=7.0),)},
}


@pytest.mark.parametrize("reason", CONTRADICTIONS)
def test_a_record_that_contradicts_itself_is_refused(tmp_path, reason):
    path = tmp_path / "record.json"
    path.write_text(a_record().model_copy(update=CONTRADICTIONS[reason]).sealed().to_json())
    with pytest.raises(DamagedRecordError, match=reason):
        read_record(path)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_make_no_record(tmp_path, text):
    path = tmp_path / "record.json"
    path.write_text(a_record().sealed().to_json().replace('"value": 0.5', f'"value": {text}'))
    assert text in path.read_text()
    with pytest.raises(DamagedRecordError, match="is no record"):
        read_record(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_canonical_json_refuses_what_json_cannot_hold(value):
    with pytest.raises((TypeError, ValueError)):
        canonical_json({"x": value})


def test_unknown_fields_are_refused():
    class Fact(Frozen):
        x: int

    with pytest.raises(ValueError, match="extra"):
        Fact(x=1, y=2)
