"""What each family of generators promises beyond the contract."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthward.benchmarks.dataset import Split
from synthward.benchmarks.schema import TableError, TableSchema
from synthward.generators import Access, TrainView
from synthward.generators.checks import specimen
from synthward.generators.missing import MissingCodec
from synthward.generators.precomputed import Precomputed
from synthward.generators.sdv import CTGAN, TVAE, CopulaGAN, GaussianCopula
from synthward.generators.smote import SMOTE
from synthward.generators.synthcity import ARF, DDPM, BayesianNetwork
from synthward.results.errors import UserError


def view_of(table, schema, access=Access.ROWS):
    table = schema.canonical(table)
    return TrainView(schema, Split(table, table.head(2), table.head(2)), access)


def numeric_schema(*names, **more):
    return TableSchema(columns={n: {"kind": "continuous", "missing": True} for n in names}, **more)


MODELS = {
    "gaussian_copula": GaussianCopula(),
    "ctgan": CTGAN(epochs=2),
    "tvae": TVAE(epochs=2),
    "copulagan": CopulaGAN(epochs=2),
    "smote": SMOTE(),
    "arf": ARF(num_trees=5),
    "bayesian_network": BayesianNetwork(),
    "ddpm": DDPM(n_iter=20, num_timesteps=10, sampling_patience=20),
}


def odd_tables():
    """Tables that break careless models."""
    rng = np.random.default_rng(5)
    n = 60
    number = rng.normal(50, 9, n).round(1)
    letter = rng.choice(list("ab"), n)
    rare = np.array(["x"] * 30 + ["y"] * 28 + ["z", "w"])
    letters = {"kind": "categorical", "codes": list("abc")}
    yield (
        "numeric",
        numeric_schema("u", "v", "w"),
        pd.DataFrame({"u": number, "v": number + rng.normal(size=n), "w": rng.exponential(size=n)}),
    )
    yield (
        "categorical",
        TableSchema(columns={"p": letters, "q": letters, "r": letters}, target="r", task="multiclass"),
        pd.DataFrame({"p": letter, "q": rng.choice(list("abc"), n), "r": rng.choice(list("ab"), n)}),
    )
    yield (
        "constant",
        TableSchema(
            columns={
                "u": {"kind": "continuous"},
                "v": {"kind": "continuous"},
                "one": {"kind": "integer"},
                "none": {"kind": "continuous", "missing": True},
                "p": letters,
                "void": {**letters, "missing": True},
            },
            target="p",
            task="multiclass",
        ),
        pd.DataFrame({"u": number, "v": rng.normal(size=n), "one": 7, "none": np.nan, "p": letter, "void": [None] * n}),
    )
    gap = rng.random(n) < 0.3
    yield (
        "one value and gaps",
        TableSchema(
            columns={
                "u": {"kind": "continuous"},
                "seven": {"kind": "integer", "missing": True},
                "a": {**letters, "missing": True},
                "p": letters,
            },
            target="p",
            task="multiclass",
        ),
        pd.DataFrame({"u": number, "seven": np.where(gap, np.nan, 7), "a": np.where(gap, None, "a"), "p": letter}),
    )
    yield (
        "rare classes",
        TableSchema(
            columns={
                "u": {"kind": "continuous"},
                "v": {"kind": "continuous"},
                "p": letters,
                "class": {"kind": "categorical", "codes": list("wxyz")},
            },
            target="class",
            task="multiclass",
        ),
        pd.DataFrame({"u": number, "v": rng.normal(size=n), "p": letter, "class": rare}),
    )


@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize(("name", "schema", "table"), [pytest.param(*t, id=t[0]) for t in odd_tables()])
def test_odd_tables(model, name, schema, table):
    generator = MODELS[model]
    assert generator.supports(schema) is None
    made = schema.canonical(generator.fit(view_of(table, schema), 1).sample(40, 2))
    assert 0 < len(made) <= 40
    for column in schema.categorical:
        assert set(made[column].dropna()) <= set(schema[column].codes)
    if name == "constant":
        assert (made["one"] == 7).all()
        assert made["none"].isna().all()
        assert made["void"].isna().all()
    if name == "one value and gaps":
        assert set(made["seven"].dropna()) <= {7}
        assert set(made["a"].dropna()) <= {"a"}


def test_a_table_of_constants_alone_is_repeated():
    schema = TableSchema(columns={"a": {"kind": "integer"}, "b": {"kind": "categorical", "codes": ["x", "y"]}})
    table = pd.DataFrame({"a": [3, 3, 3], "b": ["x", "x", "x"]})
    for generator in (GaussianCopula(), CTGAN(epochs=2), SMOTE(), ARF()):
        made = generator.fit(view_of(table, schema), 1).sample(5, 1)
        assert made.to_dict("list") == {"a": [3.0] * 5, "b": ["x"] * 5}
        generator.details()


# Missing values


@st.composite
def tables_with_gaps(draw):
    n = draw(st.integers(2, 12))
    columns = {}
    for i in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            cells = st.one_of(st.none(), st.floats(-1e6, 1e6))
            values = pd.Series(draw(st.lists(cells, min_size=n, max_size=n)), dtype="float64")
        else:
            cells = st.one_of(st.none(), st.sampled_from(["a", "b", "missing", "missing_", "known"]))
            values = pd.Series(draw(st.lists(cells, min_size=n, max_size=n)), dtype=object)
            values = values.where(values.notna(), None)
        if values.notna().any():
            columns[draw(st.sampled_from([f"c{i}", f"missing c{i}", f"missing c{i - 1}"]))] = values
    return pd.DataFrame(columns)


@settings(max_examples=150, deadline=None)
@given(tables_with_gaps(), st.integers(0, 9))
def test_missing_values_survive_the_round_trip(table, seed):
    codec = MissingCodec.learn(table)
    coded = codec.encode(table, np.random.default_rng(seed))
    assert not coded.isna().any().any()
    pd.testing.assert_frame_equal(codec.decode(coded), table)


def test_filled_gaps_hold_known_values_of_one_row():
    table = pd.DataFrame({"a": [1.0, 2, np.nan, np.nan], "b": [10.0, 20, np.nan, np.nan], "c": [1.0, 2, 3, np.nan]})
    codec = MissingCodec.learn(table)
    coded = codec.encode(table, np.random.default_rng(0))
    assert list(codec.indicators.values()) == [("a", "b"), ("c",)]
    assert (coded["b"] == 10 * coded["a"]).all()
    assert set(coded["c"]) <= {1.0, 2.0, 3.0}


def test_filling_keeps_the_distribution():
    table = pd.DataFrame({"a": [*range(300), *[np.nan] * 300]})
    filled = MissingCodec.learn(table).encode(table, np.random.default_rng(1))["a"].iloc[300:]
    assert filled.nunique() > 150
    assert abs(filled.mean() - 149.5) < 15


# SDV


def test_sdv_takes_the_kinds_of_the_card():
    """Left to itself, SDV calls the code 1/2 a number, or the whole numbers of a score categories."""
    schema = TableSchema(
        columns={
            "code": {"kind": "categorical", "codes": [1, 2]},
            "score": {"kind": "integer"},
            "day": {"kind": "continuous"},
        }
    )
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"code": rng.choice([1, 2], 80), "score": rng.integers(0, 2, 80), "day": rng.random(80)})
    generator = GaussianCopula().fit(view_of(table, schema), 1)
    sdtypes = {c: m["sdtype"] for c, m in generator._model.metadata.tables["table"].columns.items()}
    assert sdtypes == {"code": "categorical", "score": "numerical", "day": "numerical"}


def test_sdv_places_missing_values_by_the_seed():
    schema, split = specimen()
    generator = GaussianCopula().fit(TrainView(schema, split, Access.ROWS), 1)
    masks = [generator.sample(200, seed)["albumin"].isna().to_numpy() for seed in (1, 1, 2)]
    assert (masks[0] == masks[1]).all()
    assert (masks[0] != masks[2]).any()


def test_sdv_does_not_notice_what_was_fitted_before_it():
    """Its transformers fit from a state that the whole process shares."""
    from rdt.transformers.base import BaseTransformer

    schema, split = specimen()
    view = TrainView(schema, split, Access.ROWS)
    tables = []
    for _ in range(2):
        tables.append(CTGAN(epochs=1).fit(view, 1).sample(50, 1))
        BaseTransformer.INITIAL_FIT_STATE.random_sample(1000)
    pd.testing.assert_frame_equal(*tables)


def test_sdv_tells_epochs_and_losses():
    schema, split = specimen()
    view = TrainView(schema, split, Access.ROWS)
    assert CTGAN(epochs=3).fit(view, 1).details().keys() == {
        "epochs",
        "final_generator_loss",
        "final_discriminator_loss",
    }
    details = TVAE(epochs=3).fit(view, 1).details()
    assert details["epochs"] == 3
    assert details["final_loss"] > 0


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (CTGAN(batch_size=55), "batch_size 55 must be even and a multiple of pac (10)"),
        (
            GaussianCopula(default_distribution="normal"),
            "default_distribution 'normal' is unknown: choose one of norm,",
        ),
        (CopulaGAN(default_distribution="normal"), "default_distribution 'normal' is unknown"),
    ],
)
def test_sdv_names_a_wrong_setting(generator, message):
    schema, split = specimen()
    with pytest.raises(UserError) as caught:
        generator.fit(TrainView(schema, split, Access.ROWS), 1)
    assert message in str(caught.value)


def test_ddpm_tells_its_loss():
    schema, split = specimen()
    generator = DDPM(n_iter=100, num_timesteps=10).fit(TrainView(schema, split, Access.ROWS), 1)
    assert generator.details()["final_loss"] > 0


# SMOTE


def test_smote_stays_between_two_neighbours_of_the_class():
    """Classes at the two ends of a line: nothing may fall between them, nor beyond the rows."""
    schema = TableSchema(
        columns={"u": {"kind": "continuous"}, "y": {"kind": "categorical", "codes": ["a", "b"]}},
        target="y",
        task="multiclass",
    )
    low, high = np.linspace(0, 1, 30), np.linspace(9, 10, 10)
    table = pd.DataFrame({"u": [*low, *high], "y": ["a"] * 30 + ["b"] * 10})
    made = SMOTE().fit(view_of(table, schema), 1).sample(2000, 1)
    assert made.loc[made["y"] == "a", "u"].between(0, 1).all()
    assert made.loc[made["y"] == "b", "u"].between(9, 10).all()
    assert abs((made["y"] == "b").mean() - 0.25) < 0.04
    assert not made["u"].isin(table["u"]).mean() > 0.05


def test_smote_gives_rows_the_gaps_of_rows_of_their_class():
    rng = np.random.default_rng(0)
    schema = TableSchema(
        columns={
            "u": {"kind": "continuous"},
            "v": {"kind": "continuous", "missing": True},
            "w": {"kind": "categorical", "codes": ["p", "q"], "missing": True},
            "y": {"kind": "categorical", "codes": ["a", "b"]},
        },
        target="y",
        task="multiclass",
    )
    sick = rng.random(400) < 0.5
    gap = rng.random(400) < np.where(sick, 0.3, 0.0)
    table = pd.DataFrame(
        {
            "u": rng.normal(size=400),
            "v": np.where(gap, np.nan, rng.normal(size=400)),
            "w": np.where(gap, None, rng.choice(["p", "q"], 400)),
            "y": np.where(sick, "a", "b"),
        }
    )
    made = SMOTE().fit(view_of(table, schema), 1).sample(1000, 1)
    assert (made["v"].isna() == made["w"].isna()).all()
    assert not made.loc[made["y"] == "b", "v"].isna().any()
    assert abs(made.loc[made["y"] == "a", "v"].isna().mean() - 0.3) < 0.08


def test_smote_leaves_out_a_class_of_one_and_says_so():
    _, schema, table = next(t for t in odd_tables() if t[0] == "rare classes")
    generator = SMOTE(k_neighbors=100).fit(view_of(table, schema), 1)
    assert set(generator.sample(200, 1)["class"]) == {"x", "y"}
    assert generator.details() == {"classes_left_out": 2}


def test_smote_declines_what_it_cannot_do():
    letters = {"kind": "categorical", "codes": ["a", "b"]}
    assert "no target" in SMOTE().supports(TableSchema(columns={"p": letters, "q": letters}))
    schema = TableSchema(columns={"u": {"kind": "continuous"}, "y": letters}, target="y", task="binary", positive="a")
    with pytest.raises(UserError, match="every class has one member"):
        SMOTE().fit(view_of(pd.DataFrame({"u": [1.0, 2.0], "y": ["a", "b"]}), schema), 1)


# Rows from a file


CODES = TableSchema(
    columns={
        "u": {"kind": "continuous", "missing": True},
        "dose": {"kind": "categorical", "codes": ["None", "01", "1", "2"], "missing": True},
    }
)


def fit_precomputed(path):
    return Precomputed(path=str(path)).fit(view_of(pd.DataFrame({"u": [0.0], "dose": ["1"]}), CODES), 1)


def test_precomputed_reads_codes_as_codes(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("dose,u\nNone,1\n01,2.5\n1.0,NA\n,4\n9,5\n")
    made = fit_precomputed(path).sample(5, 1).sort_values("u")
    assert made["dose"].tolist() == ["None", "01", None, "9", "1"]
    assert made["u"].tolist()[:4] == [1, 2.5, 4, 5]


def test_precomputed_reads_parquet_and_tells_what_it_read(tmp_path):
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"u": np.arange(9.0), "dose": ["1"] * 9}).to_parquet(path)
    generator = fit_precomputed(path)
    assert sorted(generator.sample(9, 1)["u"]) == list(range(9))
    assert len(generator.sample(20, 1)) == 9
    assert generator.details()["file_rows"] == 9
    assert len(generator.details()["file_sha256"]) == 64


def test_precomputed_says_what_is_wrong_with_the_file(tmp_path):
    with pytest.raises(UserError, match=r"cannot read the rows of 'precomputed' from .*absent.csv: No such file"):
        fit_precomputed(tmp_path / "absent.csv")
    lacking = tmp_path / "lacking.csv"
    lacking.write_text("u\n1\n")
    with pytest.raises(TableError, match="lacks dose"):
        fit_precomputed(lacking)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"no parquet")
    with pytest.raises(UserError, match="is no readable table"):
        fit_precomputed(broken)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("u,dose\n1,Kühn\n".encode("latin-1"))
    with pytest.raises(UserError, match="is no readable table"):
        fit_precomputed(latin)
