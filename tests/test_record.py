"""Records: sealed, strict, and readable after the format grew."""

import json

import pytest
from board_records import record as a_record

from synthward.results import record as module
from synthward.results.record import Frozen, Record, canonical_json
from synthward.results.store import DamagedRecordError, read_record


def test_a_record_survives_the_way_to_disk(tmp_path):
    record = a_record().sealed()
    path = tmp_path / "record.json"
    path.write_text(record.to_json())
    assert read_record(path) == record
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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_canonical_json_refuses_what_json_cannot_hold(value):
    with pytest.raises((TypeError, ValueError)):
        canonical_json({"x": value})


def test_unknown_fields_are_refused():
    class Fact(Frozen):
        x: int

    with pytest.raises(ValueError, match="extra"):
        Fact(x=1, y=2)
