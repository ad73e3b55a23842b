"""The checks of a generator find each fault and name it in one line."""

import numpy as np
import pytest
from synthward.generators import Access, Generator
from synthward.generators.checks import check_generator, specimen


class Honest(Generator):
    version = "1"

    def fit(self, view, seed):
        self._rows = view.rows()
        return self

    def sample(self, n, seed):
        return self._rows.iloc[np.random.default_rng(seed).integers(0, len(self._rows), n)].reset_index(drop=True)


class Unseeded(Honest):
    def sample(self, n, seed):
        return self._rows.sample(n)


class GlobalInFit(Honest):
    def fit(self, view, seed):
        self._rows = view.rows().sample(frac=0.5)
        return self


class SeedBlind(Honest):
    def sample(self, n, seed):
        return super().sample(n, 0)


class Peeks(Honest):
    access = Access.STATISTICS


class ChangesInput(Honest):
    def fit(self, view, seed):
        self._rows = view.rows()
        view._rows.loc[:, "age"] = 50.0
        return self


class LosesColumn(Honest):
    def sample(self, n, seed):
        return super().sample(n, seed).drop(columns="age").assign(years=1)


class TooFew(Honest):
    def sample(self, n, seed):
        return super().sample(n // 2, seed)


class Infinite(Honest):
    def sample(self, n, seed):
        return super().sample(n, seed).assign(creatinine=np.inf)


class Foreign(Honest):
    def sample(self, n, seed):
        return super().sample(n, seed).assign(sex="unknown")


class Fractions(Honest):
    def sample(self, n, seed):
        table = super().sample(n, seed)
        return table.assign(age=table["age"] + 0.5)


class Text(Honest):
    def sample(self, n, seed):
        return super().sample(n, seed).assign(age="old")


class NoTable(Honest):
    def sample(self, n, seed):
        return super().sample(n, seed).to_numpy()


class Gapless(Honest):
    def sample(self, n, seed):
        return super().sample(n, seed).assign(albumin=4.0, bilirubin=1.0, ward="other")


class Gaps(Honest):
    missing = "imputed"


class Misdeclared(Honest):
    missing = "dropped"


class NoTier(Honest):
    access = "all"


class Scales(Honest):
    def __init__(self, epochs=3):
        self.epochs = epochs * 2


class Hides(Honest):
    def __init__(self, epochs=3):
        self._epochs = epochs


class Raises(Honest):
    def fit(self, view, seed):
        raise ValueError("no luck\nat all")


class Exits(Honest):
    def sample(self, n, seed):
        raise SystemExit(3)


class FitsNone(Honest):
    def fit(self, view, seed):
        super().fit(view, seed)


class Reasonless(Honest):
    def supports(self, schema):
        return ""


class Unrecordable(Honest):
    def details(self):
        return {"loss": float("nan")}


class NotHere(Honest):
    requires = ("a_module_that_is_not_there",)


def failures(make):
    return [(v.name, v.message) for v in check_generator(make, *specimen()) if not v.passed]


def test_an_honest_generator_passes():
    verdicts = list(check_generator(Honest, *specimen()))
    assert all(v.passed and not v.message.startswith("not") for v in verdicts)
    assert len(verdicts) >= 15


def test_a_reasoned_refusal_passes():
    class Refuses(Honest):
        def supports(self, schema):
            return "too many columns"

    verdicts = list(check_generator(Refuses, *specimen()))
    assert all(v.passed for v in verdicts)
    assert verdicts[-1].message == "not this table: too many columns"


@pytest.mark.parametrize(
    ("faulty", "name", "message"),
    [
        (Unseeded, "same seed, sampled again", "two samples with one seed differ: draw all randomness"),
        (GlobalInFit, "same seed, fitted again", "two fits with one seed differ"),
        (SeedBlind, "other seed", "two seeds give one table: `sample` does not use its seed"),
        (Peeks, "access", "a generator with 'statistics' access asked for 'rows'"),
        (ChangesInput, "input", "changed the table it was fitted on"),
        (LosesColumn, "columns", "the table lacks age and has unknown years"),
        (TooFew, "rows", "returned 60 rows when asked for 120"),
        (Infinite, "finite numbers", "infinite values in creatinine"),
        (Foreign, "codes", "values that are no codes of the card in sex (unknown)"),
        (Fractions, "whole numbers", "fractions in the integer columns age"),
        (Text, "canonical", "column 'age' is integer but holds values that are no numbers"),
        (NoTable, "sample", "returned ndarray: return a pandas DataFrame"),
        (Gapless, "missing values reproduced", "0% of the values are missing, 21% in training"),
        (Gaps, "missing values imputed", "declares that it leaves no missing value, but albumin, bilirubin, ward has"),
        (Misdeclared, "declarations", "`missing` is 'dropped'"),
        (NoTier, "declarations", "`access` is 'all': declare one of Access.DESCRIPTION"),
        (Scales, "parameters", "__init__ changes epochs"),
        (Hides, "parameters", "__init__ does not store epochs under its own name"),
        (Raises, "fit", "raised ValueError: no luck at all"),
        (Exits, "sample", "raised SystemExit: 3"),
        (FitsNone, "fit", "must return self"),
        (Reasonless, "supports", "returned '': give a reason in words"),
        (Unrecordable, "details", "details() must be JSON"),
        (NotHere, "requires", "NotHere needs a_module_that_is_not_there, not installed here"),
        (dict, "construct", "is not a generator"),
    ],
)
def test_faults_are_named(faulty, name, message):
    found = failures(faulty)
    assert name in dict(found), found
    assert message in dict(found)[name]
    assert "\n" not in dict(found)[name]


def test_the_specimen_is_worth_checking_with():
    schema, split = specimen()
    assert len(split.train) == 150
    assert schema.conform(split.train).valid.all()
    assert {c.kind for c in schema.columns} == {"continuous", "integer", "categorical", "ordinal"}
    missing = split.train.isna().mean()
    assert (missing[["albumin", "bilirubin", "ward"]] > 0.1).all()
