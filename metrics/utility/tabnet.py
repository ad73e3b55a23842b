"""Utility by TabNet, the neural network of the published comparisons: apart, because it needs torch and minutes."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from ..base import Evaluation, Value, best_at_one, metric
from .predictions import MOST_ROWS, learner_value, predictions
from .references import LIBRARIES
from .scores import Score, auprc, auroc, brier, f1

ARIK = "Arik and Pfister 2021, AAAI, arXiv:1908.07442; package pytorch-tabnet"
LACKING = "needs pytorch-tabnet: pip install 'synthward[tabnet]'"
NAME = "tabnet"
REFERENCE = "trained on train rows"
EPOCHS = 100
BATCH = 1024


@best_at_one(
    family="utility",
    aspect="prediction",
    definition="Scores on the test rows of a TabNet trained on the synthetic rows: 'f1', 'auroc' and 'auprc', as in "
    "tstr_f1, tstr_auroc and tstr_auprc; the breakdown gives the score of one trained on the train rows, and of "
    f"tables larger than {MOST_ROWS:,} rows as many are drawn.",
    citation=ARIK,
    needs=("class target",),
)
def tstr_tabnet(evaluation: Evaluation) -> list[Value]:
    """Train TabNet on synthetic, test on real."""
    return _values(evaluation, {"f1": f1, "auroc": auroc, "auprc": auprc})


@metric(
    family="utility",
    aspect="prediction",
    direction="min",
    ideal=0.0,
    lower=0.0,
    upper=2.0,
    definition="Brier score on the test rows of a TabNet trained on the synthetic rows, as in tstr_brier; the "
    "breakdown gives that of one trained on the train rows, and of tables larger than "
    f"{MOST_ROWS:,} rows as many are drawn.",
    citation=ARIK,
    needs=("class target",),
)
def tstr_tabnet_brier(evaluation: Evaluation) -> Value:
    """Brier score of a TabNet trained on synthetic, tested on real."""
    return _values(evaluation, {"": brier})[0]


@dataclass
class TabNet:
    """TabNet with the defaults of its package, on one thread of the processor, as a learner of scikit-learn's form.

    Attributes:
        seed: of weights and batches.
    """

    seed: int
    _network: Any = field(init=False, default=None)

    def fit(self, x: np.ndarray, y: np.ndarray) -> Self:
        """Train on encoded rows of shape ``(rows, columns)`` and their classes, counted from 0."""
        with _alone():
            self._network = _package().TabNetClassifier(seed=self.seed, verbose=0, device_name="cpu")
            # The package leaves out incomplete batches: all rows, where they are fewer than one holds.
            self._network.fit(x, y, max_epochs=EPOCHS, batch_size=min(BATCH, len(x)), compute_importance=False)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Probabilities of the classes, shape ``(rows, classes)``."""
        # In the order of their values, because the rounding error of a row depends on its place in a batch.
        order = np.lexsort(x.T)
        with _alone():
            ordered = self._network.predict_proba(x[order]).astype(float)
        probabilities: np.ndarray = np.empty_like(ordered)
        probabilities[order] = ordered
        return probabilities


@contextmanager
def _alone() -> Iterator[None]:
    """One thread, so that sums are the same everywhere, and a random state of its own."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)


def _values(evaluation: Evaluation, scores: dict[str, Score]) -> list[Value]:
    """Scores by variant, each with that of the reference beside it."""
    try:
        _package()
    except ImportError:
        return [Value(None, variant, reason=LACKING) for variant in scores]
    libraries = (*LIBRARIES, "torch", "pytorch-tabnet")
    synthetic = predictions(evaluation, "synthetic", builders={NAME: TabNet}, libraries=libraries)
    if isinstance(synthetic, str):
        return [Value(None, variant, reason=synthetic) for variant in scores]
    real = predictions(evaluation, "train", builders={NAME: TabNet}, libraries=libraries)
    values = []
    for variant, score in scores.items():
        reference = None if isinstance(real, str) else learner_value(evaluation, real, NAME, score).value
        value = learner_value(evaluation, synthetic, NAME, score)
        values.append(replace(value, variant=variant, breakdown={REFERENCE: reference}))
    return values


def _package() -> Any:
    """The classifiers of pytorch-tabnet.

    Raises:
        ImportError: the package, or torch, is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about what it was built with
        return importlib.import_module("pytorch_tabnet.tab_model")
