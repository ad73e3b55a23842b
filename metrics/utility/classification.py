"""Utility: does a model trained on the synthetic table predict the target of real patients?"""

from __future__ import annotations

from ..base import Evaluation, Metric, Value, best_at_one, metric
from .predictions import MOST_ROWS, predictions, score_values
from .scores import Score, auprc, auroc, brier, f1, r2

ESTEBAN = "Esteban, Hyland and Rätsch 2017, arXiv:1706.02633"
LEARNER_NAMES = "logistic regression, decision tree, random forest and XGBoost (first their mean)"
REGRESSOR_NAMES = "ridge regression, decision tree, random forest and XGBoost (first their mean)"
CAP = f"of larger tables {MOST_ROWS:,} rows are drawn"


@best_at_one(
    family="utility",
    aspect="prediction",
    definition="F1 score on the test rows of models trained on the synthetic rows: of the positive class, or the mean "
    f"over the classes of the test rows if there are more than two; {LEARNER_NAMES}.",
    citation=ESTEBAN,
    needs=("class target",),
)
def tstr_f1(evaluation: Evaluation) -> list[Value]:
    """Train on synthetic, test on real: F1."""
    return _tstr(evaluation, f1)


@best_at_one(
    family="utility",
    aspect="prediction",
    definition="Area under the ROC curve on the test rows of models trained on the synthetic rows: binary, or the mean "
    f"of one class against the rest if there are more than two; {LEARNER_NAMES}.",
    citation=ESTEBAN,
    needs=("class target",),
)
def tstr_auroc(evaluation: Evaluation) -> list[Value]:
    """Train on synthetic, test on real: area under the ROC curve."""
    return _tstr(evaluation, auroc)


@best_at_one(
    family="utility",
    aspect="prediction",
    definition="Average precision on the test rows of models trained on the synthetic rows: of the positive class, or "
    f"the mean of one class against the rest if there are more than two; {LEARNER_NAMES}; {CAP}.",
    citation=f"{ESTEBAN}; average precision: Davis and Goadrich 2006, ICML",
    needs=("class target",),
)
def tstr_auprc(evaluation: Evaluation) -> list[Value]:
    """Train on synthetic, test on real: area under the precision-recall curve."""
    return _tstr(evaluation, auprc)


@metric(
    family="utility",
    aspect="prediction",
    direction="min",
    ideal=0.0,
    lower=0.0,
    upper=2.0,
    definition="Brier score on the test rows of models trained on the synthetic rows: mean squared error of the "
    "probability of the positive class, or the sum of that of every class, 2 at most, if there are more than two; "
    f"{LEARNER_NAMES}; {CAP}.",
    citation=f"{ESTEBAN}; Brier 1950, Mon Weather Rev 78:1",
    needs=("class target",),
)
def tstr_brier(evaluation: Evaluation) -> list[Value]:
    """Train on synthetic, test on real: Brier score."""
    return _tstr(evaluation, brier)


@metric(
    family="utility",
    aspect="prediction",
    direction="max",
    ideal=1.0,
    upper=1.0,
    definition="Share of the variance of a numeric target that models trained on the synthetic rows explain in the "
    f"test rows, below 0 if their predictions are worse than the mean; {REGRESSOR_NAMES}; {CAP}.",
    citation=ESTEBAN,
    needs=("numeric target",),
)
def tstr_r2(evaluation: Evaluation) -> list[Value]:
    """Train on synthetic, test on real: explained variance of a number."""
    return _tstr(evaluation, r2)


@metric(
    family="utility",
    aspect="prediction",
    direction="target",
    ideal=1.0,
    lower=0.0,
    definition="Mean tstr score over the learners divided by the mean trtr score (variants 'f1' and 'auroc'): below 1 "
    "signal of the real rows is lost, well above 1 signal is invented.",
    citation=ESTEBAN,
    needs=("class target",),
)
def tstr_ratio(evaluation: Evaluation) -> list[Value]:
    """Utility of the synthetic rows relative to that of the real ones."""
    return [_ratio(evaluation, "f1", f1), _ratio(evaluation, "auroc", auroc)]


@best_at_one(
    family="utility",
    aspect="prediction",
    definition="F1 score on the synthetic rows of models trained on the train rows, which is low if the synthetic rows "
    "do not keep what the label means; a generator without variety can exceed trtr_f1; "
    f"{LEARNER_NAMES}; {CAP}.",
    citation=ESTEBAN,
    needs=("class target",),
)
def trts_f1(evaluation: Evaluation) -> list[Value]:
    """Train on real, test on synthetic: F1."""
    return _trts(evaluation, f1)


@best_at_one(
    family="utility",
    aspect="prediction",
    definition="Area under the ROC curve on the synthetic rows of models trained on the train rows, which is low if "
    "the synthetic rows do not keep what the label means; a generator without variety can exceed trtr_auroc; "
    f"{LEARNER_NAMES}; {CAP}.",
    citation=ESTEBAN,
    needs=("class target",),
)
def trts_auroc(evaluation: Evaluation) -> list[Value]:
    """Train on real, test on synthetic: area under the ROC curve."""
    return _trts(evaluation, auroc)


def _tstr(evaluation: Evaluation, score: Score) -> list[Value]:
    return score_values(evaluation, predictions(evaluation, "synthetic"), score)


def _trtr(evaluation: Evaluation, score: Score) -> list[Value]:
    return score_values(evaluation, predictions(evaluation, "train"), score)


def _reference(read_against: Metric, score: Score) -> Metric:
    """The same score of models trained on the train rows."""
    name = read_against.card.name
    definition = f"{name} of models trained on the real train rows: the reference that {name} is read against."
    changed = {
        "name": name.replace("tstr", "trtr"),
        "definition": definition,
        "citation": ESTEBAN,
        "ranked": False,
    }
    return Metric(read_against.card.model_copy(update=changed), lambda evaluation: _trtr(evaluation, score))


trtr_f1 = _reference(tstr_f1, f1)
trtr_auroc = _reference(tstr_auroc, auroc)
trtr_auprc = _reference(tstr_auprc, auprc)
trtr_brier = _reference(tstr_brier, brier)
trtr_r2 = _reference(tstr_r2, r2)


def _trts(evaluation: Evaluation, score: Score) -> list[Value]:
    return score_values(evaluation, predictions(evaluation, "train", "synthetic"), score)


def _ratio(evaluation: Evaluation, variant: str, score: Score) -> Value:
    synthetic, real = _tstr(evaluation, score)[0], _trtr(evaluation, score)[0]
    n, population = synthetic.n, synthetic.population
    reason = synthetic.reason or real.reason
    if synthetic.value is None or real.value is None:
        return Value(None, variant, n=n, population=population, reason=reason)
    if real.value == 0:
        return Value(None, variant, n=n, population=population, reason="models trained on the real rows score 0")
    return Value(synthetic.value / real.value, variant, n=n, population=population, reason=reason)
