"""The two readers of records agree: what the fast one takes, the other takes too, and reads the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from board_records import CARDS, MEMORISATION, record, share
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthward.leaderboard.frame import Collector
from synthward.results.decoding import Decoded, Decoder
from synthward.results.reading import USUAL_SIZE, CardFiles, DamagedRecordError, read_decoded, read_record, record_files
from synthward.results.record import Attachment, Measurement, Record, Status, cell_id, indented_json, seal
from synthward.results.store import Store

PUBLISHED = Path(__file__).parents[1] / "results" / "records"


def a_record() -> Record:
    values = {
        "column_shapes": Measurement(metric="column_shapes", value=0.5, breakdown={"age": 0.25, "sex": None}, n=2),
        "tstr_f1": Measurement(metric="tstr_f1", status=Status.UNSUPPORTED, reason="none"),
        "memorisation": share("header", 1, 4, 0.0),
    }
    made = record(
        "ctgan",
        values=values,
        cards={**CARDS, "memorisation": MEMORISATION},
        params={"epochs": 3, "deep": {"x": [1, 2.5, None]}},
        details={"llm": {"model": {"model": "small"}}, "größe": [1, {"ü": "é"}]},
        provenance={"python": "3.11", "packages": {"numpy": "2"}, "cores": 2, "memory_gb": 23.6},
    )
    more = {
        "id": cell_id(made.identity),
        "attachments": (Attachment(path="a.gz", sha256="0", size=1),),
        "seconds": {"fit": 1.0, "total": 2.0},
        "peak_memory_mb": 3.0,
    }
    return made.model_copy(update=more)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CardFiles]:
    """A file to write to, beside the cards, and these."""
    store = Store(tmp_path_factory.mktemp("store"))
    store.put(a_record())
    return store.root / "record.json", store.cards


def text_of(content: dict[str, Any], **raw: str) -> str:
    """A sealed record of JSON values, in which the strings of these names are replaced by raw text."""
    body = indented_json({k: v for k, v in content.items() if k != "digest"}).removesuffix("\n}\n")
    for name, text in raw.items():
        body = body.replace(f'"{name}"', text)
    return f'{body},\n "digest": "{seal(body)}"\n}}\n'


def readings(data: bytes, stored: tuple[Path, CardFiles]) -> tuple[Decoded | None, Record | str]:
    """What the fast reader makes of a text, and the other, or why that refuses it."""
    path, cards = stored
    path.write_bytes(data)
    (decoded,) = Decoder(cards.read, "memorisation").decode([data])
    try:
        return decoded, read_record(path, cards)
    except DamagedRecordError as error:
        return decoded, str(error)


def assert_agree(data: bytes, stored: tuple[Path, CardFiles]) -> Decoded | None:
    """Whatever the fast reader takes is what the other reads."""
    decoded, read = readings(data, stored)
    if decoded is None:
        return None
    assert isinstance(read, Record), read
    columns = []
    for given_record in (decoded, read):
        collector = Collector()
        collector.add(given_record, "same")
        columns.append(collector.results())
    fast, slow = columns
    assert repr(fast.cells) == repr(slow.cells)
    assert fast.kinds == slow.kinds
    assert repr(fast.value.tolist()) == repr(slow.value.tolist())
    assert fast.asked == slow.asked
    for name in ("generator", "dataset", "protocol", "model", "cards"):
        assert repr(getattr(fast.distinct, name)) == repr(getattr(slow.distinct, name))
    return decoded


def places(content: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values in JSON, those of objects and arrays included."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [*([at] if at else []), *(place for key, value in inner for place in places(value, (*at, key)))]


CONTENT = json.loads(a_record().sealed().to_json())
PLACES = [place for place in places(CONTENT) if place != ("digest",)]
DEEP = "[" * 300 + "]" * 300
ODD = [
    *("null", "true", "0", "1", "-0", "1.0", "-0.0", "1e3", "1e999", "-1e999", "1e-999", "NaN", "Infinity", "2.5"),
    *("9007199254740993", "18446744073709551616", "-9223372036854775809", "1" * 400, "1" * 5000, "1" * 310 + ".5"),
    *(
        '""',
        '"1"',
        '"ok"',
        '"x"',
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\u0000"',
        '"a\\n"',
        '"a.gz\\n"',
        '"1.0"',
        '"true"',
    ),
    *(
        "[]",
        "{}",
        "[[]]",
        '{"a": 1, "a": 2}',
        '{"a": 1e999}',
        '{"\\ud800": 1}',
        '{"": 0}',
        DEEP,
        "[1, 2,]",
        "01",
        "tru",
    ),
]


# What stands in the identity too.
TWINS: dict[tuple[Any, ...], tuple[Any, ...]] = {
    ("seed",): ("identity", "seed"),
    ("track",): ("identity", "track"),
    ("rows_requested",): ("identity", "rows"),
    ("dataset", "fingerprint"): ("identity", "dataset"),
    **{("generator", key): ("identity", "generator", key) for key in ("target", "version", "params")},
}


def changed(place: tuple[Any, ...], odd: str, *, fitting: bool) -> bytes:
    """The record with raw text in one place; if that is to fit, in its identity too, and under the id of that."""
    content = json.loads(json.dumps(CONTENT))
    twin = [t + place[len(p) :] for p, t in TWINS.items() if place[: len(p)] == p] if fitting else []
    for at in (place, *twin):
        inside = content
        for key in at[:-1]:
            inside = inside[key]
        inside[at[-1]] = "@@odd@@"
    if fitting:
        try:
            found = json.loads(text_of(content, **{"@@odd@@": odd}))
            content["id"] = cell_id(found["identity"])
        except (ValueError, TypeError, RecursionError):
            pass
    return text_of(content, **{"@@odd@@": odd}).encode("utf-8", "surrogatepass")


@given(st.sampled_from(PLACES), st.sampled_from(ODD), st.booleans())
@settings(
    max_examples=600, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_readers_agree_on_odd_values_in_any_place(stored, place, odd, fitting):
    assert_agree(changed(place, odd, fitting=fitting), stored)


FREE = [
    ("details", "more"),
    ("provenance", "more"),
    ("identity", "more"),
    ("provenance", "packages"),
    ("attachments", 0, "path"),
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", [*FREE, ("seed",), ("measurements", 0, "value"), ("measurements", 0, "breakdown")])
def test_the_readers_agree_where_anything_may_stand(stored, place, odd):
    assert_agree(changed(place, odd, fitting=True), stored)


@pytest.mark.parametrize("depth", [50, 140, 195, 198, 199, 200, 201, 400, 5000])
@pytest.mark.parametrize("place", [("details", "x"), ("details", "größe"), ("generator", "params"), ("identity", "x")])
def test_the_readers_agree_on_how_deep_a_record_goes(stored, place, depth):
    for nested in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        assert_agree(changed(place, nested, fitting=True), stored)


@given(st.data())
@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_readers_agree_on_damaged_bytes(stored, data):
    body = text_of(CONTENT).encode().rpartition(b',\n "digest": ')[0]
    at = data.draw(st.integers(0, len(body)))
    until = data.draw(st.integers(at, min(len(body), at + 4)))
    body = (
        body[:at]
        + data.draw(st.binary(max_size=3) | st.sampled_from([b'"', b"\\", b"\xff", b",", b"}"]))
        + body[until:]
    )
    sealed = body + b',\n "digest": "%b"\n}\n' % hashlib.sha256(body).hexdigest().encode()
    assert_agree(sealed, stored)


LINES = ['"seed": 7', '"digest": "x"', '"generator": {}', '"cards": ""', '"measurements": [{}]', '"status": "error"']


@pytest.mark.parametrize("line", [*LINES, '"status": "ok"', '"unknown": 1', '"details": {"x": 1e999}'])
def test_the_readers_agree_on_what_stands_there_twice(stored, line):
    for twice in (f"{{\n {line},\n", "{\n "):
        body = text_of(CONTENT).rpartition(',\n "digest": ')[0].replace("{\n ", twice, 1)
        after = f",\n {line}" if twice == "{\n " else ""
        body += after
        assert_agree(f'{body},\n "digest": "{seal(body)}"\n}}\n'.encode(), stored)


def test_the_readers_agree_on_bytes_that_are_no_text_where_a_later_line_counts(stored):
    for line in (b'"details": "\xff"', b'"provenance": {"x": "\xff"}', b'"generator": "\xff"'):
        body = text_of(CONTENT).rpartition(',\n "digest": ')[0].encode().replace(b"{\n ", b"{\n " + line + b",\n ", 1)
        assert_agree(body + b',\n "digest": "%b"\n}\n' % hashlib.sha256(body).hexdigest().encode(), stored)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "0" * 20}, "its id is not"),
        ({"seed": 9}, "what it says of seed"),
        ({"track": "other"}, "what it says of track"),
        ({"rows_requested": 1}, "what it says of rows"),
        ({"dataset": {**CONTENT["dataset"], "fingerprint": "x"}}, "what it says of dataset"),
        ({"generator": {**CONTENT["generator"], "version": "2"}}, "what it says of generator"),
        ({"cards": "0" * 64}, "cards of its metrics are missing"),
        ({"measurements": [{"metric": "column_shapes", "value": 1.1}]}, "out of bounds"),
        ({"measurements": [{"metric": "column_shapes", "version": 2}]}, "no card for its metric"),
        ({"measurements": [{"metric": "other", "value": 1.0}]}, "no card for its metric"),
        ({"record_version": 1}, "version 1"),
    ],
)
def test_what_contradicts_itself_is_taken_by_neither(stored, change, said):
    decoded, read = readings(text_of({**CONTENT, **change}).encode(), stored)
    assert decoded is None
    assert isinstance(read, str)
    assert said in read


def test_an_edited_or_unsealed_text_is_left_to_the_other_reader(stored):
    sound = text_of(CONTENT)
    for text in (sound.replace("0.25", "0.26"), sound[:-1], sound + " ", sound.replace("\n", "\r\n")):
        assert Decoder(stored[1].read).decode([text.encode()]) == [None]


def test_ordinary_records_are_read_fast_and_alike(stored):
    assert assert_agree(text_of(CONTENT).encode(), stored) is not None
    cards = CardFiles(PUBLISHED)
    files = list(record_files(PUBLISHED))[::12]
    assert all(isinstance(found, Decoded) for _, found in read_decoded(files, cards, pytest.fail))
    for file in files[::10]:
        assert assert_agree(Path(file).read_bytes(), (stored[0], cards)) is not None


def test_a_file_is_read_to_its_end_and_one_that_is_gone_is_passed_over(stored, tmp_path):
    (tmp_path / "large.json").write_text(text_of({**CONTENT, "details": {"long": "x" * 5 * USUAL_SIZE}}))
    names = [str(tmp_path / name) for name in ("gone.json", "large.json", "gone too.json")]
    ((name, record),) = read_decoded(names, stored[1], pytest.fail)
    assert name == names[1]
    assert isinstance(record, Decoded)


def test_layouts_share_the_kinds_that_they_have_in_common(stored):
    values = [{"metric": "column_shapes"}, {"metric": "tstr_f1", "status": "error", "reason": "one"}]
    other = [values[0], {**values[1], "reason": "other"}]
    texts = [text_of({**CONTENT, "measurements": measured}).encode() for measured in (values, other, values)]
    one, two, again = (record.layout for record in Decoder(stored[1].read).decode(texts) if record)
    assert again is one
    assert two.kinds[0] is one.kinds[0]
    assert [layout.kinds[1][4] for layout in (one, two)] == ["one", "other"]


def test_bounds_are_checked_record_by_record(stored):
    bad = text_of({**CONTENT, "measurements": [{"metric": "column_shapes", "value": -0.1}]}).encode()
    good, empty = text_of(CONTENT).encode(), text_of({**CONTENT, "measurements": []}).encode()
    found = Decoder(stored[1].read).decode([empty, good, bad, empty, b"", good])
    assert [record is not None for record in found] == [True, True, False, True, False, True]
