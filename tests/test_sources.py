"""The loading function, the user's own files, `describe` and the loaders of tables on disk."""

from __future__ import annotations

import datetime
import gzip
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from synthward.benchmarks.dataset import DatasetCard, DatasetError
from synthward.benchmarks.describe import describe_file, to_yaml
from synthward.benchmarks.sources import build_dataset, import_extra, load_dataset
from synthward.benchmarks.sources.inference import describe_table
from synthward.benchmarks.sources.mimic import POSSIBLE
from synthward.results.errors import UserError

CONF = Path(__file__).parent.parent / "conf" / "dataset"
ROWS = 60


def ward(rows: int = ROWS) -> pd.DataFrame:
    """A small clinical table of every kind of column."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 95, rows),
            "sex": rng.choice(["f", "m"], rows),
            "creatinine": np.where(rng.random(rows) < 0.1, np.nan, rng.gamma(2, 0.5, rows).round(2)),
            "asa": 1 + np.arange(rows) % 4,
            "ward": rng.choice(["None", "Surgery, general", "ICU"], rows),
            "died": np.arange(rows) % 2,
        }
    )


def card_of(name: str, **values: str | None) -> dict[str, Any]:
    """A card of conf/dataset as the sweep resolves it: under the root config's path, target and card."""
    root = {"path": None, "target": None, "card": None} | values
    config = OmegaConf.create(root | {"dataset": OmegaConf.load(CONF / f"{name}.yaml")})
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    return dict(resolved["dataset"])


def file_card(path: Path, target: str | None = None, **source: str) -> dict[str, Any]:
    card = card_of("file", path=str(path), target=target)
    card["source"] |= source
    return card


def save(table: pd.DataFrame, folder: Path, name: str = "ward.csv", **options: Any) -> Path:
    path = folder / name
    table.to_csv(path, index=False, **options)
    return path


def refusal(config: dict[str, Any]) -> str:
    """The one line with which a dataset is refused."""
    with pytest.raises(UserError) as caught:
        load_dataset(config)
    return one_line(caught)


def one_line(caught: pytest.ExceptionInfo[UserError]) -> str:
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


# ------------------------------------------------------------------------------------------ loaders


def test_sources_import_without_pandas() -> None:
    code = "import sys, synthward.benchmarks.sources; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_extra_is_named() -> None:
    with pytest.raises(UserError) as caught:
        import_extra("no_such_package.sub", "data")
    assert one_line(caught) == "no_such_package is not installed: pip install 'synthward[data]'"


def test_loader_of_a_plugin_by_dotted_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = (
        "import pandas as pd\n"
        "def read(n, p=1):\n    return pd.DataFrame({'a': range(n), 'b': [0, 1] * (n // 2)})\n"
        "def nothing():\n    return 3\n"
        "thing = 3\n"
    )
    (tmp_path / "my_plugin.py").write_text(plugin)
    monkeypatch.syspath_prepend(str(tmp_path))
    columns = {"a": {"kind": "integer"}, "b": {"kind": "categorical", "codes": {"0": "no", "1": "yes"}}}

    def config(**source: Any) -> dict[str, Any]:
        return {"name": "mine", "target": "b", "columns": columns, "source": source}

    dataset = load_dataset(config(_target_="my_plugin.read", n=20))
    assert dataset.table.shape == (20, 2)
    assert (dataset.schema.task, dataset.schema.positive) == ("binary", "1")
    assert "cannot find the loader 'my_plugin.raed'" in refusal(config(_target_="my_plugin.raed"))
    assert "No module named 'nowhere'" in refusal(config(_target_="nowhere.read"))
    assert "unexpected keyword argument 'm'" in refusal(config(_target_="my_plugin.read", n=20, m=3))
    assert "returned a int, not a pandas DataFrame" in refusal(config(_target_="my_plugin.nothing"))
    assert "is a int, not a function" in refusal(config(_target_="my_plugin.thing"))
    assert "has no source._target_" in refusal(config())
    assert "is no plain data" in refusal({"name": "mine", "source": {"_target_": "my_plugin.read", "n": object()}})


def test_column_order_is_the_card_s_and_loading_is_cached(tmp_path: Path) -> None:
    path = save(ward(), tmp_path)
    config = file_card(path, "died")
    first = load_dataset(config)
    assert first.schema.names == tuple(ward().columns)
    assert load_dataset(dict(config)) is first
    save(ward(80), tmp_path)
    assert len(load_dataset(config).table) == 80


# ------------------------------------------------------------------------- tables that cannot serve


def test_target_not_in_the_table(tmp_path: Path) -> None:
    path = save(ward(), tmp_path)
    assert "did you mean 'died'?" in refusal(file_card(path, "dyed"))
    assert "it has age, sex, creatinine" in refusal(file_card(path, "zzz"))
    assert "did you mean 'status'?" in refusal(card_of("pbc") | {"target": "Statuss"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"died": 1}, "target 'died' is constant, 1 in every row: choose another target"),
        ({"died": None}, "target 'died' is missing in every row: choose another target"),
        ({"died": [None, None, *([0, 1] * 29)]}, "missing in 2 of 60 rows: remove these rows"),
        ({"died": ["yes", *["no"] * 59]}, "class yes of target 'died' has one row only"),
        ({"died": ["a", "b", *["no"] * 58]}, "2 classes, such as a, of target 'died' have one row only"),
        ({"died": [f"text {i}" for i in range(60)]}, "target 'died' cannot be predicted: has another text"),
        ({"pid": range(1000, 1060)}, "'pid' is an identifier, another number in every row: leave out with "),
        ({"pid": range(1000, 1060)}, "dataset.drop=[pid]"),
        ({"Study ID": range(7, 427, 7)}, "'dataset.drop=[\"Study ID\"]'"),
        ({"name": [f"J. Doe {i}" for i in range(60)]}, "dataset.drop=[name]"),
        ({"seen": ["2020-01-02", "03.04.2021"] * 30}, "'seen' holds dates"),
        ({"hospital": "A"}, "'hospital' is constant: leave out with dataset.drop=[hospital]"),
        ({"empty": None}, "'empty' is missing in every row"),
        ({"lab": ["<5", *range(1, 60)]}, "'lab' mixes numbers with text such as '<5'"),
        ({"lab": [np.inf, *range(59)]}, "'lab' holds infinite values"),
    ],
)  # fmt: skip
def test_columns_that_cannot_serve(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    assert words in refusal(file_card(save(ward().assign(**change), tmp_path), "died"))


def test_drop_leaves_columns_out(tmp_path: Path) -> None:
    config = file_card(save(ward().assign(pid=range(ROWS)), tmp_path), "died")
    assert load_dataset(config | {"drop": ["pid"]}).schema.names == tuple(ward().columns)
    assert "did you mean 'pid'?" in refusal(config | {"drop": ["pidd"]})


def test_tiny_tables(tmp_path: Path) -> None:
    assert "has 1 row and 6 columns: too small" in refusal(file_card(save(ward(1), tmp_path), "died"))
    assert "has 0 rows" in refusal(file_card(save(ward(0), tmp_path), "died"))
    (tmp_path / "ward.csv").write_text("")
    assert "is empty" in refusal(file_card(tmp_path / "ward.csv", "died"))


def test_table_against_its_card() -> None:
    card = describe_table(ward(), "died", "ward")
    undeclared = {**card, "columns": {**card["columns"], "creatinine": {"kind": "continuous"}}}
    unlisted = {**card, "columns": {**card["columns"], "sex": {"kind": "categorical", "codes": {"f": "", "w": ""}}}}
    names = {
        **card,
        "columns": {**card["columns"], "age": {"kind": "categorical", "codes": [str(i) for i in range(99)]}},
    }
    for wrong, words in (
        (undeclared, "set `missing: true`"),
        (unlisted, "holds codes that its card does not list: m;"),
        (names, "like an identifier: leave it out with dataset.drop=[age]"),
    ):
        with pytest.raises(DatasetError) as caught:
            build_dataset(ward().assign(age=range(ROWS)), wrong)
        assert words in one_line(caught)


# ------------------------------------------------------------------------------- files of the user


def test_csv_and_parquet_are_the_same_dataset(tmp_path: Path) -> None:
    csv = load_dataset(file_card(save(ward(), tmp_path), "died"))
    ward().to_parquet(tmp_path / "ward.parquet")
    parquet = load_dataset(file_card(tmp_path / "ward.parquet", "died"))
    semicolons = save(ward(), tmp_path, "ward.txt", sep=";", decimal=",")
    german = load_dataset(file_card(semicolons, "died", sep=";", decimal=","))
    zipped = load_dataset(file_card(save(ward(), tmp_path, "ward.csv.gz"), "died"))
    assert csv.card.name == "ward"
    assert csv.card.sharing == "local-only"
    assert csv.fingerprint == parquet.fingerprint == german.fingerprint == zipped.fingerprint
    pd.testing.assert_frame_equal(csv.table, build_dataset(ward(), {"name": "ward", "target": "died"}).table)
    # A level that is called None is no missing value.
    assert "None" in csv.schema["ward"].codes
    assert not csv.table["ward"].isna().any()


def test_relative_path_counts_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(ward(), tmp_path)
    monkeypatch.chdir(tmp_path)
    assert len(load_dataset(file_card(Path("ward.csv"), "died")).table) == ROWS
    assert f"current folder: {tmp_path}" in refusal(file_card(Path("none.csv")))
    assert "dataset=file needs path=" in refusal(card_of("file"))


def test_encodings(tmp_path: Path) -> None:
    table = ward().replace({"ward": {"ICU": "Réanimation"}})
    plain = load_dataset(file_card(save(table, tmp_path), "died"))
    for encoding, given_as in (("utf-8-sig", "utf-8"), ("cp1252", "cp1252"), ("utf-16", "utf-16")):
        path = save(table, tmp_path, encoding=encoding)
        assert load_dataset(file_card(path, "died", encoding=given_as)).fingerprint == plain.fingerprint
        if encoding != "utf-8-sig":
            assert "is not utf-8 text: name its encoding with dataset.source.encoding=cp1252" in refusal(
                file_card(path)
            )
    assert "unknown encoding 'utf8000'" in refusal(file_card(path, encoding="utf8000"))


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    def text(content: str, name: str = "bad.csv") -> dict[str, Any]:
        (tmp_path / name).write_text(content)
        return file_card(tmp_path / name, "b")

    assert "has duplicated column names: 'a'; rename" in refusal(text("a,b,a\n1,2,3\n4,5,6\n"))
    assert "seems to have ';' between columns: name it with dataset.source.sep=';'" in refusal(text("a;b\n1;2\n3;4\n"))
    assert "is no CSV table" in refusal(text("a,b\n1,2\n3,4,5\n"))
    assert "is no CSV table" in refusal(text("a,b\n1,2,3\n3,4,5\n"))
    assert "save the table as a CSV file" in refusal(text("x", "bad.xlsx"))
    assert "is no readable Parquet table" in refusal(text("x", "bad.parquet"))
    (tmp_path / "bad.csv.gz").write_text("a,b\n1,2\n")
    assert "cannot read" in refusal(file_card(tmp_path / "bad.csv.gz"))
    assert "cannot read" in refusal(file_card(tmp_path))
    with pytest.raises(UserError) as caught:
        build_dataset(pd.DataFrame([[1, 2]] * 5, columns=["a", "a"]), {"name": "mine"})
    assert "has duplicated column names: a;" in one_line(caught)


def test_the_positive_class_is_a_code_however_yaml_reads_it() -> None:
    """Bare `no` and `yes` are truth values in YAML."""
    columns = yaml.safe_load("{n: {kind: integer}, died: {kind: categorical, codes: {no: alive, yes: dead}}}")
    table = pd.DataFrame({"n": range(10), "died": [0, 1] * 5})
    schema = build_dataset(table, {"name": "w", "target": "died", "columns": columns}).schema
    assert (schema.task, schema.positive) == ("binary", "1")


# ------------------------------------------------------------------------------------------ describe


def test_describe_infers_the_form_of_columns() -> None:
    columns = describe_table(ward(), "died")["columns"]
    assert columns["age"]["kind"] == "integer"
    assert columns["sex"] == {"kind": "categorical", "meaning": "", "codes": {"f": "", "m": ""}}
    assert columns["creatinine"]["kind"] == "continuous"
    assert columns["creatinine"]["decimals"] == 2
    assert columns["creatinine"]["missing"] is True
    assert columns["asa"] == {"kind": "ordinal", "meaning": "", "codes": dict.fromkeys("1234", "")}
    assert columns["died"]["kind"] == "categorical"
    low, high = columns["age"]["bounds"]
    ages = ward()["age"]
    assert (low, high) != (ages.min(), ages.max())
    assert low <= ages.min()
    assert high >= ages.max()


def test_describe_round_trip(tmp_path: Path) -> None:
    """Describe, write, correct, load: the corrected card rules."""
    table = ward().assign(pid=range(ROWS), **{"blood: group, #1": ["yes", "no", "null"] * 20})
    path = save(table, tmp_path)
    text = describe_file(str(path), "died")
    written = yaml.safe_load(text)
    assert list(written["drop"]) == ["pid"]
    assert "another number in every row" in text
    assert (written["inferred"], written["description"]) == (True, "")
    assert sum(line.startswith("  age: {kind: integer") for line in text.splitlines()) == 1
    assert "replace them by plausible ones from a codebook" in text

    inferred = load_dataset(file_card(path, "died") | {"drop": ["pid"]})
    described = load_dataset(written)
    assert described.schema == inferred.schema
    assert described.fingerprint == inferred.fingerprint
    assert DatasetCard.parse({k: v for k, v in written.items() if k != "drop"}).schema_ == inferred.schema

    written["columns"]["age"]["bounds"] = [18, 110]
    card = tmp_path / "card.yaml"
    card.write_text(to_yaml(written), encoding="utf-8")
    corrected = load_dataset(card_of("file", path=str(path), card=str(card)))
    assert corrected.schema["age"].bounds == (18, 110)
    assert corrected.schema.target == "died"
    other = load_dataset(card_of("file", path=str(path), card=str(card), target="sex"))
    assert (other.schema.target, other.schema.task, other.schema.positive) == ("sex", "binary", "m")


def test_cards_that_cannot_be_read(tmp_path: Path) -> None:
    path = save(ward(), tmp_path)
    card = tmp_path / "card.yaml"
    config = card_of("file", path=str(path), card=str(card))
    assert "cannot read the card" in refusal(config)
    card.write_text("a: [")
    assert "is no valid YAML" in refusal(config)
    card.write_text("- a")
    assert "is no mapping of fields" in refusal(config)


# PyYAML turns the rarer line breaks of Unicode into blanks.
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\x85\u2028\u2029")
NAMES = st.text(LETTERS, min_size=1, max_size=8)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.text(LETTERS, max_size=5),
    st.sampled_from(["", "1", "1.0", "NA", "<5", "2020-01-01", "yes", "no", "null", "~", b"raw", 1j, (1, 2)]),
    st.sampled_from([Decimal("1.5"), datetime.date(2020, 1, 1), pd.Timestamp("2020-01-01"), pd.NaT, pd.NA, [1], {}]),
)


@st.composite
def odd_tables(draw: st.DrawFn) -> pd.DataFrame:
    names = draw(st.lists(NAMES, max_size=4))
    rows = draw(st.integers(0, 12))
    few = st.lists(ODD, min_size=1, max_size=3)
    columns = [draw(few.flatmap(lambda vs: st.lists(st.sampled_from(vs), min_size=rows, max_size=rows))) for _ in names]
    return pd.DataFrame({i: pd.Series(c, dtype=object) for i, c in enumerate(columns)}).set_axis(names, axis=1)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(table=odd_tables(), infer=st.booleans())
def test_describe_gives_a_card_or_a_user_error(table: pd.DataFrame, infer: bool) -> None:
    table = table.infer_objects() if infer else table
    try:
        card = describe_table(table, name="odd")
    except UserError:
        return
    assert yaml.safe_load(to_yaml(card)) == card
    dataset = build_dataset(table, card)
    schema = dataset.schema
    assert schema.conform(dataset.table).valid.all(), schema.conform(dataset.table).reasons
    pd.testing.assert_frame_equal(schema.canonical(dataset.table), dataset.table)


# --------------------------------------------------------------------------- tables on the user's disk


def mimic_folder(folder: Path) -> Path:
    """Files of the layout of MIMIC-IV-ED 2.2, with invented rows."""
    rows = 40
    stays = pd.DataFrame(
        {
            "subject_id": np.arange(rows) + 10_000_000,
            "hadm_id": [25_000_000.0, np.nan] * 20,
            "stay_id": np.arange(rows) + 30_000_000,
            "intime": "2180-05-06 19:17:00",
            "outtime": "2180-05-06 23:30:00",
            "gender": ["F", "M"] * 20,
            "race": ["WHITE - RUSSIAN", "BLACK/AFRICAN AMERICAN", "HISPANIC/LATINO - CUBAN", "UNKNOWN"] * 10,
            "arrival_transport": ["WALK IN", "AMBULANCE"] * 20,
            "disposition": ["ADMITTED", "HOME"] * 19 + ["ADMITTED", None],
        }
    )
    triage = pd.DataFrame(
        {
            "subject_id": stays["subject_id"],
            "stay_id": stays["stay_id"],
            "temperature": [98.6, 36.7, 101.2, np.nan] * 10,
            "heartrate": [80.0, 1.0] * 20,
            "resprate": 16.0,
            "o2sat": 98.0,
            "sbp": [120.0, 1198.0] * 20,
            "dbp": 70.0,
            "pain": ["7", "13", "unable", "5/10"] * 10,
            "acuity": [2.0, 3.0, np.nan, 5.0] * 10,
            "chiefcomplaint": "Chest pain",
        }
    )
    with gzip.open(folder / "edstays.csv.gz", "wt") as file:
        stays.to_csv(file, index=False)
    triage.sample(frac=1, random_state=0).to_csv(folder / "triage.csv", index=False)
    return folder


def test_mimic_iv_ed(tmp_path: Path) -> None:
    dataset = load_dataset(card_of("mimic_iv_ed", path=str(mimic_folder(tmp_path))))
    table = dataset.table
    assert table.shape == (39, 12)  # one stay has no disposition
    assert dataset.card.sharing == "local-only"
    assert table["admitted"].tolist() == ["1", "0"] * 19 + ["1"]
    assert table["race"].iloc[:4].tolist() == ["white", "black", "hispanic", None]
    assert table["acuity"].iloc[:4].tolist() == ["2", "3", None, "5"]
    np.testing.assert_equal(table["pain"].iloc[:4].to_numpy(), [7, 13, np.nan, np.nan])
    np.testing.assert_equal(table["temperature"].iloc[:4].to_numpy(), [98.6, np.nan, 101.2, np.nan])
    assert table["sbp"].isna().sum() == 19
    assert dataset.schema.conform(table).valid.all()
    assert {c: dataset.schema[c].bounds for c in POSSIBLE} == POSSIBLE


def test_mimic_iv_ed_without_files(tmp_path: Path) -> None:
    assert "path=" in refusal(card_of("mimic_iv_ed"))
    assert "physionet.org" in refusal(card_of("mimic_iv_ed", path=str(tmp_path / "none")))
    assert "holds no edstays.csv" in refusal(card_of("mimic_iv_ed", path=str(tmp_path)))
    folder = mimic_folder(tmp_path)
    pd.read_csv(folder / "triage.csv").drop(columns="acuity").to_csv(folder / "triage.csv", index=False)
    assert "lacks acuity" in refusal(card_of("mimic_iv_ed", path=str(folder)))


def neurosurgical_table() -> pd.DataFrame:
    """The layout of Zenodo record 5879095, with invented rows."""
    rows = 30
    return pd.DataFrame(
        {
            "Patient": range(rows),
            "SEX": ["M", "f"] * 15,
            "Age": np.arange(rows) + 65,
            "length_of_stay": np.arange(rows) % 12 + 1,
            "histology": ["Meningioma", "glioblastoma ", "Cavernous Angioma"] * 10,
            "MCS": np.arange(rows) % 9,
            "ASA": [1, 2, 3] * 10,
            "heart-disease": ["yes", "No"] * 15,
            "Diabetes": [0, 1] * 15,
            "bmi": np.linspace(18, 39, rows).round(2),
            "Prev. Brain Radiotherapy": ["Y", "N"] * 15,
            "Complications": np.arange(rows) % 5,
            "KPS_deterioration": [True, False, False] * 10,
        }
    )


def test_neurosurgery(tmp_path: Path) -> None:
    path = save(neurosurgical_table(), tmp_path, "neuro.csv")
    dataset = load_dataset(card_of("neurosurgery", path=str(path)))
    first = dataset.table.iloc[0]
    assert dataset.table.shape == (30, 12)
    assert dataset.card.name == "neurosurgery"
    assert (first["Sex"], first["LOS"], first["Heart Disease"], first["Diabetes"]) == ("M", 1, "yes", "no")
    assert dataset.table["Histology"].iloc[:3].tolist() == ["Meningioma", "Glioblastoma", "Cavernous angioma"]
    assert dataset.table["KPS Deterioration"].value_counts().to_dict() == {"no": 20, "yes": 10}
    assert dataset.schema.conform(dataset.table).valid.all()


def test_neurosurgery_without_its_file(tmp_path: Path) -> None:
    assert "zenodo.org/record/5879095" in refusal(card_of("neurosurgery"))
    path = save(neurosurgical_table().drop(columns=["bmi", "MCS"]), tmp_path)
    assert "lacks the columns MCS, BMI" in refusal(card_of("neurosurgery", path=str(path)))
    path = save(neurosurgical_table().replace("Meningioma", "Astroglioma"), tmp_path)
    assert "column 'Histology' holds codes that its card does not list: Astroglioma" in refusal(
        card_of("neurosurgery", path=str(path))
    )


# ----------------------------------------------------------------------------------- tables of packages


@pytest.mark.parametrize(
    ("name", "rows", "features"),
    [("icu", 200, 19), ("licorice", 233, 10), ("pbc", 418, 17), ("indo_rct", 602, 30), ("opt", 814, 38),
     ("std", 877, 21), ("nhefs", 1629, 45), ("rotterdam", 2752, 9)],
)  # fmt: skip
def test_tables_of_r_packages(name: str, rows: int, features: int) -> None:
    dataset = load_dataset(card_of(name))
    schema, table = dataset.schema, dataset.table
    assert table.shape == (rows, features + 1)
    assert schema.conform(table).valid.mean() > 0.99
    shares = table[schema.target].value_counts(normalize=True)
    assert {c: pytest.approx(s, abs=0.001) for c, s in dataset.card.prevalence.items()} == shares.to_dict()
    # Plausible bounds are no copy of the extremes of the rows, but for a scale and the limits of eligibility.
    copied = [c for c in schema.numeric if schema[c].bounds == (table[c].min(), table[c].max())]
    assert set(copied) <= {"risk", "age", "BL.Calc.I"}
