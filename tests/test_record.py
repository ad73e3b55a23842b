"""Records: sealed, strict, and readable after the format grew."""

import json
import re

import pytest
from board_records import record, resealed, rewrite
from synthward.results import record as module
from synthward.results.published import publish
from synthward.results.reading import RECORD_NAME, DamagedRecordError, read_record, read_records
from synthward.results.record import (
    Frozen,
    Measurement,
    MetricCard,
    Record,
    canonical_json,
    cell_id,
    sha256_json,
)
from synthward.results.store import Store


def a_record(**changes):
    made = record("ctgan", values={"m": 0.5}, cards={"m": MetricCard(name="m", definition="M.", **SHARE)})
    return made.model_copy(update={"id": cell_id(made.identity), **changes})


SHARE = {"family": "fidelity", "direction": "max", "lower": 0.0, "upper": 1.0}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def stored(store, **changes):
    """The file of a record in a store, whatever it says."""
    made = store.put(a_record(**changes))
    return store.folder(made.id) / RECORD_NAME


def test_a_record_survives_the_way_to_disk(store):
    path = stored(store)
    assert read_record(path, store.cards) == a_record().sealed()
    assert json.loads(path.read_text())["record_version"] == module.RECORD_VERSION
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_record(path, store.cards) == a_record().sealed()


def test_a_new_field_with_a_default_leaves_old_records_valid():
    class Grown(Record):
        mood: str = "calm"

    sealed = a_record().sealed()
    grown = Grown(**dict(sealed))
    assert grown.sealed().digest == sealed.digest
    assert grown.model_copy(update={"mood": "tense"}).sealed().digest != sealed.digest


def test_cards_are_stored_once_and_go_where_the_records_go(store, tmp_path):
    for seed in range(3):
        made = record("ctgan", seed=seed, values={"m": 0.5}, cards=a_record().cards)
        store.put(made.model_copy(update={"id": cell_id(made.identity)}))
    (cards,) = store.root.glob("cards-*.json")
    assert publish(store, list(store.records()), tmp_path / "published") == 0
    assert (tmp_path / "published" / cards.name).read_bytes() == cards.read_bytes()
    for folder in (store.root, tmp_path / "published", tmp_path / "published" / made.dataset.name):
        found = list(read_records(folder, pytest.fail))
        assert [r.cards for r in found] == [a_record().cards] * 3


@pytest.mark.parametrize("harm", ["gone", "edited", "truncated", "no cards"])
def test_a_record_whose_cards_are_gone_is_measured_again_and_not_made_again(store, harm):
    path = stored(store)
    before = read_record(path, store.cards)
    (cards,) = store.root.glob("cards-*.json")
    whole = cards.read_text()
    if harm == "gone":
        cards.unlink()
    elif harm == "no cards":
        rewrite(path, cards=sha256_json([1]))
        store.cards.path(sha256_json([1])).write_text("[1]")
    else:
        cards.write_text(whole.replace("M.", "N.") if harm == "edited" else whole[:-9])
    again = Store(store.root)
    told = []
    assert list(read_records(store.root, told.append)) == []
    assert "cards" in str(told[0])
    assert again.recover(before.id).measurements == ()
    assert again.quarantined() == []
    again.put(before)
    assert cards.read_text() == whole
    assert list(read_records(store.root, pytest.fail)) == [before]


@pytest.mark.parametrize("said", ["x/../../../secret", ["a"], {"m": {}}, 7, None, "", "A" * 64])
def test_what_is_no_digest_of_cards_is_refused(store, said):
    path = stored(store)
    rewrite(path, cards=said)
    with pytest.raises(DamagedRecordError, match="no digest"):
        read_record(path, store.cards)


def test_a_record_of_another_version_says_so(store):
    path = stored(store)
    rewrite(path, record_version=99)
    with pytest.raises(DamagedRecordError, match=r"record\.json is a record of version 99, .* run its cell again"):
        read_record(path, store.cards)


@pytest.mark.parametrize(
    "change",
    [lambda r: r.update(seed=99), lambda r: r.update(status="error"), lambda r: r.update(digest="")],
    ids=["seed", "status", "no digest"],
)
def test_an_edited_record_does_not_verify(store, change):
    path = stored(store)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedRecordError, match="digest"):
        read_record(path, store.cards)


CONTRADICTIONS = {
    "its id is not that of its identity": {"id": "../../../../tmp/x"},
    "what it says of seed": {"seed": 99},
    "what it says of rows": {"rows_requested": 1},
    "there is no card for its metric m": {"cards": {}},
    "its m of 7 is out of bounds": {"measurements": (Measurement(metric="m", value=7.0),)},
}


@pytest.mark.parametrize("reason", CONTRADICTIONS)
def test_a_record_that_contradicts_itself_is_refused(store, tmp_path, reason):
    store.put(a_record())
    path = tmp_path / "record.json"
    path.write_text(a_record(**CONTRADICTIONS[reason]).to_json())
    with pytest.raises(DamagedRecordError, match=reason):
        read_record(path, store.cards)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize("place", ['"value": ', '"dose": ', '"n_train": '])
def test_numbers_that_are_none_make_no_record(store, place, text):
    path = stored(store, details={"dose": 0.5})
    changed, count = re.subn(f"{place}[0-9.]+", f"{place}{text}", path.read_text())
    assert count == 1
    path.write_text(resealed(changed))
    with pytest.raises(DamagedRecordError, match="is no record"):
        read_record(path, store.cards)


@pytest.mark.parametrize("text", ["", "[1, 2", "[]", '"record"', "[" * 100_000, "\\ud800", "{}"])
def test_what_is_no_record_is_one_clear_line(tmp_path, store, text):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(DamagedRecordError, match=r"record\.json is no record") as told:
        read_record(path, store.cards)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_canonical_json_refuses_what_json_cannot_hold(value):
    with pytest.raises((TypeError, ValueError)):
        canonical_json({"x": value})


def test_unknown_fields_are_refused():
    class Fact(Frozen):
        x: int

    with pytest.raises(ValueError, match="extra"):
        Fact(x=1, y=2)
