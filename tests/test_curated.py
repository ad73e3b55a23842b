"""Curation discards rows whose labels contradict the real ones, around any generator, within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from llm_endpoint import Endpoint
from llm_rows import group, writes_rows
from synthward.benchmarks.dataset import DatasetCard, Split
from synthward.benchmarks.schema import TableSchema
from synthward.generators import Access, Generator, TrainView
from synthward.generators.checks import check_generator, specimen
from synthward.generators.curated import Curated, LabelModel, added
from synthward.generators.spec import GeneratorSpec
from synthward.generators.view import AccessDeniedError
from synthward.results import errors
from synthward.results.errors import UserError

REFERENCES = "synthward.generators.reference"
SCHEMA = TableSchema(
    columns={
        "u": {"kind": "continuous"},
        "[v] <": {"kind": "categorical", "codes": ["a", "b"], "missing": True},
        "class": {"kind": "categorical", "codes": ["x", "y", "z"], "missing": True},
    },
    target="class",
    task="multiclass",
)


def rows(n: int, seed: int) -> pd.DataFrame:
    """Class x below zero, y above; half of the rows lie near the border, where a label says little."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=n)
    u[::2] += 4 * np.sign(u[::2])
    table = pd.DataFrame({"u": u, "[v] <": rng.choice(["a", "b"], n), "class": np.where(u > 0, "y", "x")})
    return SCHEMA.canonical(table)


class Mislabelling(Generator):
    """Good rows, of which every fourth has the other label; keeps a list of what it was asked for."""

    version = "1"
    access = Access.DESCRIPTION

    def __init__(self, wrong: bool = True, most: int = 10**6, path: str = "", fails: str = "", after: int = 1) -> None:
        self.wrong, self.most, self.path, self.fails, self.after = wrong, most, path, fails, after
        self.asked: list[int] = []

    @classmethod
    def defining(cls, params: Any) -> dict[str, Any]:
        return {k: v for k, v in params.items() if k != "most"}

    def refuses(self, card: DatasetCard) -> str | None:
        return "not this one"

    def prepare(self) -> None:
        self.prepared = True

    def attachments(self) -> dict[str, bytes]:
        return {"log": str(self.asked[-1]).encode()}

    def details(self) -> dict[str, Any]:
        return {"asked": self.asked[-1]}

    def fit(self, view: TrainView, seed: int) -> Generator:
        self.view = view
        return self

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        if self.fails and len(self.asked) == self.after:
            raise getattr(errors, self.fails)("enough")
        self.asked.append(n)
        table = rows(min(n, self.most), seed)
        if self.wrong:
            table.loc[3::4, "class"] = table.loc[3::4, "class"].map({"x": "y", "y": "x"})
        return table


class Whole(Mislabelling):
    access = Access.ROWS


class Specified(Mislabelling):
    """As one that asks a model once and draws any number of rows from what it said."""

    def attachments(self) -> dict[str, bytes]:
        return {"transcript": b"one"}

    def details(self) -> dict[str, Any]:
        return {"llm": {"calls": 1}, "served_seconds": {"fit": 2.0}}


class Glimpsing(Mislabelling):
    access = Access.EXAMPLES

    def fit(self, view: TrainView, seed: int) -> Generator:
        self.given = view.examples(7, seed)
        return super().fit(view, seed)


def curated(
    target: type[Generator] | str = Mislabelling, inside: dict[str, Any] | None = None, **params: Any
) -> Curated:
    name = target if isinstance(target, str) else f"{__name__}.{target.__name__}"
    return Curated({"_target_": name, **(inside or {})}, **params)


def split_of(train: pd.DataFrame) -> Split:
    return Split(train, rows(50, 91), rows(50, 92))


def fitted(generator: Curated, train: pd.DataFrame | None = None) -> Curated:
    train = rows(300, 9) if train is None else train
    return generator.fit(TrainView(SCHEMA, split_of(train), generator.access), 1)


def wrong(table: pd.DataFrame) -> pd.Series:
    return (table["class"] == "y") != (table["u"] > 0)


def test_rows_with_contradicting_labels_are_discarded() -> None:
    generator = fitted(curated(oversample=1.5, pool=100))
    table = generator.sample(200, 2)
    assert len(table) == 200
    raw = generator._inside.sample(1000, 3)
    assert wrong(raw).mean() == pytest.approx(0.25)
    assert wrong(table).mean() < 0.05
    details = generator.details()["curation"]
    kept = details["easy"] + details["ambiguous"] + details["unlabelled"]
    assert details["generated"] == 300 == kept + details["discarded"]
    assert details["surplus"] == kept - 200
    assert details["discarded"] == sum(details["discarded_by_class"].values())
    assert details["discarded"] / 300 == pytest.approx(0.25, abs=0.04)
    assert details["real_rows"] == 100


def test_adaptive_threshold() -> None:
    """Three quarters of the range of the first round, whatever comes later."""
    train = rows(300, 9)
    train.loc[1::4, "class"] = "x"  # near the border, so that uncertainty varies
    generator = fitted(curated(uncertainty=None, rounds=3, pool=100, inside={"most": 80}), train)
    generator.sample(150, 2)
    first = generator._inside.sample(80, 2)
    uncertainty = generator._model.dynamics(SCHEMA.canonical(first))[1]
    assert generator.details()["curation"]["uncertainty"] == pytest.approx(0.75 * np.ptp(uncertainty))
    assert np.ptp(uncertainty) > 0.05


def test_good_rows_stay() -> None:
    generator = fitted(curated(pool=100, inside={"wrong": False}))
    generator.sample(200, 2)
    details = generator.details()["curation"]
    assert details["discarded"] <= 0.02 * details["generated"]


def test_more_is_generated_until_the_table_is_full_or_the_rounds_are_over() -> None:
    full = fitted(curated(oversample=1.0, rounds=9))
    assert len(full.sample(200, 2)) == 200
    asked = full._inside.asked
    assert asked[0] == 200
    assert 1 < len(asked) < 9
    assert asked == sorted(asked, reverse=True)
    short = fitted(curated(oversample=1.0, rounds=1))
    assert 100 < len(short.sample(200, 2)) < 200
    assert short._inside.asked == [200]
    starved = fitted(curated(inside={"most": 0}))
    assert list(starved.sample(20, 2).columns) == list(SCHEMA.names)
    assert starved._inside.asked == [20]


def test_every_round_leaves_its_account_and_its_files() -> None:
    generator = fitted(curated(inside={"most": 60}, rounds=3))
    generator.sample(120, 2)
    details = generator.details()
    assert details["asked"] == generator._inside.asked[0] == 120
    assert [r["asked"] for r in details["curation"]["further_rounds"]] == generator._inside.asked[1:]
    assert list(generator.attachments()) == ["log", "round2.log", "round3.log"]
    assert generator.attachments()["log"] == b"120"


def test_a_failure_after_the_first_round_keeps_what_there_is() -> None:
    generator = fitted(curated(inside={"fails": "UserError", "most": 60}))
    assert 20 < len(generator.sample(120, 2)) < 60
    assert generator.details()["curation"]["further_rounds"] == [{"asked": 120, "ended": "enough"}]
    for inside in ({"fails": "UserError", "after": 0}, {"fails": "StoppedError", "after": 1, "most": 60}):
        with pytest.raises(UserError, match="enough"):
            fitted(curated(inside=inside)).sample(120, 2)


def test_rounds_do_not_repeat_rows() -> None:
    table = fitted(curated(inside={"most": 60}, oversample=1.0, rounds=9)).sample(150, 2)
    assert len(table) == 150
    assert not table["u"].duplicated().any()


def test_rows_without_a_label_cannot_be_judged() -> None:
    model = LabelModel(SCHEMA, 20).fit(rows(100, 1), 0)
    table = rows(5, 2).assign(**{"class": ["x", None, "moon", "z", "y"]})
    assert model.labelled(table).tolist() == [True, False, False, True, True]
    confidence, uncertainty = model.dynamics(table[model.labelled(table)])
    assert confidence[1] == uncertainty[1] == 0  # a class that no real row has


def test_dynamics_are_means_over_the_iterations() -> None:
    """Against the same model asked directly."""
    model = LabelModel(SCHEMA, 10).fit(rows(100, 1), 0)
    table = rows(30, 2).assign(**{"class": ["x", "y"] * 15})
    place = (table["class"] == "y").to_numpy(dtype=int)
    staged = [
        model._model.predict_proba(model._features(table), iteration_range=(0, i))[np.arange(30), place]
        for i in range(1, 11)
    ]
    confidence, uncertainty = model.dynamics(table)
    np.testing.assert_allclose(confidence, np.mean(staged, axis=0))
    np.testing.assert_allclose(uncertainty, np.mean([p * (1 - p) for p in staged], axis=0), rtol=1e-6)
    assert np.ptp(confidence) > 0.3


def test_odd_numbers_and_foreign_codes_are_judged() -> None:
    model = LabelModel(SCHEMA, 5).fit(rows(100, 1), 0)
    odd = rows(4, 2).assign(u=[np.inf, -np.inf, np.nan, 1e300])
    odd["[v] <"] = ["moon", None, "a", "b"]
    assert np.isfinite(model.dynamics(odd)).all()


@pytest.mark.parametrize(
    ("inside", "access", "shown", "learned"),
    [(Mislabelling, Access.EXAMPLES, 0, 40), (Glimpsing, Access.EXAMPLES, 7, 40), (Whole, Access.ROWS, 0, 0)],
)
def test_every_real_row_below_rows_access_is_logged(
    inside: type[Generator], access: Access, shown: int, learned: int
) -> None:
    """What stood in a prompt apart from what curation alone saw, and the one is part of the other."""
    generator = curated(inside, pool=40)
    assert generator.access is access
    view = TrainView(SCHEMA, split_of(rows(300, 9)), generator.access)
    generator.fit(view, 1)
    assert (len(view.shown), len(view.learned)) == (shown, learned)
    assert set(view.shown) <= set(view.learned)
    assert generator._model.rows == (learned or 300)
    exposure = {"shown": shown, "only_learned": learned - shown, "train_rows": 300}
    assert view.exposure().get("exposure", exposure) == exposure


def test_the_generator_inside_sees_no_more_than_it_declares() -> None:
    generator = fitted(curated())
    view = generator._inside.view
    assert view.access is Access.DESCRIPTION
    for refused in (view.rows, view.control, view.statistics, view.associations, lambda: view.examples(1, 0)):
        with pytest.raises(AccessDeniedError):
            refused()
    assert held(view) == set()


def held(view: TrainView) -> set[str]:
    """What of the table stands in a view, whether it may be asked for or not."""
    return {name for name, value in vars(view).items() if isinstance(value, (pd.DataFrame, dict)) and len(value)}


def test_a_rare_class_is_among_the_examples() -> None:
    train = rows(300, 9)
    train["class"] = ["y"] * 2 + ["x"] * 298
    for seed in range(5):
        generator = curated(pool=10)
        generator.fit(TrainView(SCHEMA, split_of(train), generator.access), seed)
        assert generator._model.rows == 10


def test_restricted_views() -> None:
    split = split_of(rows(60, 9))
    whole = TrainView(SCHEMA, split, Access.REFERENCE)
    assert held(TrainView(SCHEMA, split, Access.STATISTICS).restricted(Access.DESCRIPTION)) == set()
    for tier in Access:
        view, plain = whole.restricted(tier), TrainView(SCHEMA, split, tier)
        assert held(view) == held(plain)
        for name in ("rows", "control", "statistics", "associations"):
            outcomes = []
            for one in (view, plain):
                try:
                    outcomes.append(str(getattr(one, name)()))
                except AccessDeniedError:
                    outcomes.append("denied")
            assert outcomes[0] == outcomes[1], (tier, name)
    whole.restricted(Access.EXAMPLES).examples(3, 0)
    assert len(whole.shown) == 3
    with pytest.raises(AccessDeniedError):
        TrainView(SCHEMA, split, Access.STATISTICS).restricted(Access.ROWS)


def test_one_class_is_said_before_the_generator_inside_is_fitted() -> None:
    generator = curated(Glimpsing)
    with pytest.raises(UserError, match="two classes"):
        fitted(generator, rows(100, 9).assign(**{"class": "x"}))
    assert not hasattr(generator._inside, "given")


def unsupported() -> Sequence[TableSchema]:
    columns = {"u": {"kind": "continuous"}, "p": {"kind": "categorical", "codes": ["a", "b"]}}
    return [
        TableSchema(columns=columns),
        TableSchema(columns=columns, target="u", task="regression"),
        TableSchema(columns={"p": columns["p"]}, target="p", task="multiclass"),
    ]


def test_what_cannot_be_curated_is_said() -> None:
    assert all("judges the label" in str(curated().supports(schema)) for schema in unsupported())
    assert curated().supports(SCHEMA) is None
    plugin = curated("synthward.generators.synthcity.Unsupported", {"plugin": "goggle"})
    assert "dgl" in str(plugin.supports(SCHEMA))


@pytest.mark.parametrize("params", [{"oversample": 0.5}, {"rounds": 0}, {"pool": 0}])
def test_wrong_settings_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="at least 1"):
        curated(**params)
    with pytest.raises(UserError, match="_target_"):
        Curated({})


def test_what_the_generator_inside_has_to_say_comes_through() -> None:
    generator = fitted(curated())
    assert generator.refuses(DatasetCard(name="t", schema_=SCHEMA)) == "not this one"
    generator.prepare()
    assert generator._inside.prepared
    assert generator.missing == "reproduced"
    assert (
        curated(f"{REFERENCES}.Marginals").missing
        == GeneratorSpec(name="m", target=f"{REFERENCES}.Marginals").build().missing
    )


def test_identity_follows_the_generator_inside(tmp_path: Any) -> None:
    def identity(**inside: Any) -> Any:
        config = {"name": "any", "_target_": f"{__name__}.Mislabelling", **inside}
        spec = GeneratorSpec.parse({"_target_": "synthward.generators.curated.Curated", "generator": config})
        return spec.version(), spec.facts()

    plain = identity()
    assert identity(name="other") == plain
    assert identity(most=3) == plain  # which Mislabelling says does not define its rows
    assert identity(wrong=False) != plain
    file = tmp_path / "rows.csv"
    file.write_text("1")
    one = identity(path=str(file))
    file.write_text("2")
    assert identity(path=str(file)) != one
    assert str(tmp_path) not in str(one)


@pytest.mark.parametrize("inside", ["Uniform", "Marginals", "Copy"])
def test_contract(inside: str) -> None:
    schema, split = specimen()
    config = {"_target_": f"{REFERENCES}.{inside}"}
    for verdict in check_generator(lambda: Curated(config), schema, split):
        assert verdict.passed, verdict


def test_the_language_model_inside_is_planned_for_and_can_be_asked():
    schema, split = specimen()
    with Endpoint(writes_rows(schema)) as endpoint:
        curated = Curated(few_shot(endpoint), oversample=1.5)
        assert curated.language_model() is not None
        planned = curated.estimate(TrainView(schema, split, curated.access), 20)
        assert not endpoint.received
    assert planned.calls == 8  # 30 rows, 4 draws a request
    plain = Curated({"_target_": "synthward.generators.reference.Marginals"})
    assert plain.language_model() is None
    assert plain.estimate(TrainView(schema, split, plain.access), 20) is None


def few_shot(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    return {"_target_": "synthward.generators.llm.few_shot.FewShot", "llm": group(endpoint), **more}


def test_a_pool_is_the_same_whoever_draws_it() -> None:
    """It is as if there were no other rows; what it hands out is logged by the numbers of the train part."""
    train = rows(200, 9)
    view = TrainView(SCHEMA, split_of(train), Access.EXAMPLES)
    pool = view.pool(20, 1)
    given = pool.examples(20, 5)
    assert len(set(view.shown)) == 20
    pd.testing.assert_frame_equal(given, train.iloc[view.shown].reset_index(drop=True))
    assert given["class"].value_counts().to_dict() == pytest.approx(
        (train["class"].value_counts() / 10).to_dict(), abs=1
    )
    again = view.pool(30, 1).pool(30, 1).examples(30, 5)
    pd.testing.assert_frame_equal(again, view.pool(30, 1).examples(30, 5))
    assert sorted(view.pool(20, 2).examples(20, 5)["u"]) != sorted(given["u"])
    assert pool.statistics()["u"]["mean"] == pytest.approx(given["u"].mean())
    assert len(view.pool(999, 1).examples(999, 5)) == 200
    with pytest.raises(AccessDeniedError):
        TrainView(SCHEMA, split_of(train), Access.STATISTICS).pool(3, 0)


def test_a_language_model_sees_no_row_beyond_the_pool() -> None:
    schema, split = specimen()
    seen = {}
    for pool in (20, None):
        with Endpoint(writes_rows(schema)) as endpoint:
            generator = GeneratorSpec.parse(few_shot(endpoint, pool=pool)).build()
            view = TrainView(schema, split, generator.access)
            generator.fit(view, 1).sample(60, 2)
            seen[pool] = view.exposure()["exposure"]
            assert len(view.shown) == 8 * len(endpoint.bodies)
    assert seen[20] == {"shown": 20, "only_learned": 0, "train_rows": 150}
    assert seen[None]["shown"] > 60
    with pytest.raises(UserError, match="at least 1"):
        GeneratorSpec.parse(few_shot(endpoint, pool=0)).build()


@pytest.mark.parametrize("oversample", [1.0, 2.0])
def test_the_account_is_of_all_rounds_and_of_the_rows_kept(oversample: float) -> None:
    schema, split = specimen()
    with Endpoint(writes_rows(schema)) as endpoint:
        generator = Curated(few_shot(endpoint), oversample=oversample)
        view = TrainView(schema, split, generator.access)
        assert len(generator.fit(view, 1).sample(60, 2)) == 60
        calls, written = len(endpoint.bodies), sum(body.get("n", 1) for body in endpoint.bodies)
    facts = generator.details()
    account, curation = facts["llm"], facts["curation"]
    assert curation["discarded"] > 0
    assert curation["further_rounds"] or oversample > 1
    assert account["calls"] == account["paid"]["calls"] == calls
    assert account["prompt_tokens"] == 100 * calls
    assert account["paid"]["tokens"] == account["prompt_tokens"] + account["completion_tokens"]
    assert account["rows_read"] == written == curation["generated"]
    assert account["model"] == generator._rounds[0]["llm"]["model"]
    assert account["answered_by"] == ["test-model"]
    spent = account["prompt_tokens"] + account["completion_tokens"]
    assert account["tokens_per_valid_row"] == pytest.approx(spent / (written - curation["discarded"]), abs=0.01)
    assert view.exposure()["exposure"] == {"shown": 20, "only_learned": 0, "train_rows": 150}


def test_accounts_are_added_and_what_cannot_be_is_kept() -> None:
    one = {
        "model": {"draws": 4},
        "calls": 2,
        "cost_usd": None,
        "paid": {"tokens": 3},
        "dropped": ["seed"],
        "rejects": {},
    }
    two = {**one, "prompt_template": "ab", "dropped": ["n", "seed"], "rejects": {"no row": 5}, "seconds": 0.5}
    assert added({}, one) == one
    assert added(added({}, one), two) == {
        **two,
        "calls": 4,
        "paid": {"tokens": 6},
        "dropped": ["seed", "n"],
    }


def test_what_a_round_without_rows_cost_is_in_the_account() -> None:
    schema, split = specimen()
    good = writes_rows(schema)
    with Endpoint(lambda body, choice: good(body, choice) if len(endpoint.bodies) <= 15 else "no") as endpoint:
        generator = Curated(few_shot(endpoint, llm=group(endpoint, concurrency=1, max_rejects=8)))
        table = generator.fit(TrainView(schema, split, generator.access), 1).sample(60, 2)
        calls = len(endpoint.bodies)
    facts = generator.details()
    assert 30 < len(table) < 60
    assert facts["llm"]["calls"] == calls > 15
    assert "no valid row" in facts["curation"]["further_rounds"][-1]["ended"]
    assert facts["llm"]["rejects"] == {"no row": 8}


def test_a_model_asked_once_for_all_rows_is_accounted_for_once() -> None:
    generator = fitted(curated(Specified, {"most": 60}))
    assert len(generator.sample(150, 2)) == 150
    assert len(generator._inside.asked) > 2
    assert generator.details()["llm"] == {"calls": 1}
    assert generator.details()["served_seconds"] == {"fit": 2.0}
    assert generator.attachments() == {"transcript": b"one"}


def test_the_first_round_is_the_table_of_the_generator_inside() -> None:
    """So that a cache serves both, and that curation alone sets them apart."""
    schema, split = specimen()
    with Endpoint(writes_rows(schema)) as endpoint:
        alone = GeneratorSpec.parse(few_shot(endpoint)).build()
        table = alone.fit(TrainView(schema, split, alone.access), 1).sample(60, 2)
        first = list(endpoint.bodies)
        endpoint.received.clear()
        generator = Curated(few_shot(endpoint, pool=None))
        kept = generator.fit(TrainView(schema, split, generator.access), 1).sample(60, 2)
        again = endpoint.bodies[: len(first)]
    assert sorted(map(str, again)) == sorted(map(str, first))
    known = set(map(tuple, table.astype(str).to_numpy()))
    stayed = sum(tuple(row) in known for row in kept.astype(str).to_numpy())
    assert stayed == 60 - sum(r["llm"]["rows_read"] for r in generator.details()["curation"]["further_rounds"][:1])
