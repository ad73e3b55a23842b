"""Privacy, proximity: are synthetic rows nearer to the train rows than to rows that the generator never saw?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..base import Evaluation, Value, best_at_one, metric
from ..encoding import Part
from ..sampling import drawn
from ..summary import share_value
from .gower import Space, gower_spaces, kneighbors

TIE = 1e-9  # distances nearer to each other than this differ by rounding alone
PAIRS = 2_000_000_000  # pairs of rows compared in one search; where there are more, rows to search for are drawn
NO_ROWS = "there are no train, no control or no synthetic rows"
PLATZER = "Platzer and Reutterer 2021, Frontiers in Big Data 4:679939; distance: Gower 1971, Biometrics 27:857"


@best_at_one(
    family="privacy",
    aspect="proximity",
    definition="Gower distance from synthetic rows to their closest record, 5th percentile and median: among the train "
    "rows (variants 'train_p05' and 'train_median'), and among as many control rows, which is what chance gives "
    "(variants 'control_p05' and 'control_median'): synthetic rows that come nearer to train than to control rows are "
    "memorised.",
    citation=PLATZER,
    ranked=False,
)
def dcr(evaluation: Evaluation) -> list[Value]:
    """Distance to the closest record of train, beside that to the closest of control."""
    sides: tuple[Part, ...] = ("train", "control")
    if not comparable(evaluation):
        return [Value(None, f"{side}_{at}", reason=NO_ROWS) for side in sides for at in ("p05", "median")]
    values = []
    for side in sides:
        distances = closest(evaluation, side)[0]
        for at, quantile in (("p05", 0.05), ("median", 0.5)):
            found = float(np.quantile(distances, quantile))
            values.append(Value(found, f"{side}_{at}", n=len(distances), population=len(evaluation.synthetic)))
    return values


@metric(
    family="privacy",
    aspect="proximity",
    direction="target",
    ideal=0.5,
    lower=0.0,
    upper=1.0,
    definition="Share of synthetic rows whose nearest train row is nearer than their nearest control row, ties "
    "counted half, with as many control as train rows; Gower distance, numbers scaled by the train rows' range and "
    "differing by 1 at most; the interval (Wilson) is wider where many synthetic rows have the same nearest row. The "
    "reference `real` emits control rows, and so stands at 0 as `copy` stands at 1.",
    citation=PLATZER,
    version=3,
)
def dcr_share(evaluation: Evaluation) -> Value:
    """Whether synthetic rows lie nearer to train than to control rows: above one half, the generator memorised."""
    if not comparable(evaluation):
        return Value(None, reason=NO_ROWS)
    (to_train, train), (to_control, control) = closest(evaluation, "train"), closest(evaluation, "control")
    ties = np.isclose(to_train, to_control, rtol=0, atol=TIE)
    nearer = np.where(ties, 0.5, to_train < to_control)
    winner = np.where(to_train <= to_control, train, len(evaluation.train) + control)
    effective = _effective_rows(nearer, winner)
    found = share_value(float(nearer.sum()), len(nearer), effective=effective)
    return replace(found, population=len(evaluation.synthetic))


@best_at_one(
    family="privacy",
    aspect="proximity",
    definition="5th percentile of the nearest-neighbour distance ratio: distance to the nearest train row over that to "
    "the second nearest, 1 where both are 0; of synthetic rows (variant 'train'), and of control rows, which is what "
    "chance gives (variant 'control'). A low ratio singles out one patient.",
    citation="Zhao et al. 2021, CTAB-GAN, arXiv:2102.08369; distance: Gower 1971, Biometrics 27:857",
)
def nndr(evaluation: Evaluation) -> list[Value]:
    """Whether rows lie near to one train row in particular."""
    values = []
    queries: tuple[tuple[Part, str], ...] = (("synthetic", "train"), ("control", "control"))
    for part, variant in queries:
        if len(evaluation.train) < 2 or not len(getattr(evaluation, part)):
            values.append(Value(None, variant, reason=f"there are no {part} rows, or fewer than two train rows"))
            continue
        first, second = _two_nearest(evaluation, part)[0].T
        ratio = np.where(second > 0, first / np.where(second > 0, second, 1.0), 1.0)
        value, population = float(np.quantile(ratio, 0.05)), len(getattr(evaluation, part))
        values.append(Value(value, variant, n=len(ratio), population=population))
    return values


def comparable(evaluation: Evaluation) -> bool:
    """Whether there are train, control and synthetic rows."""
    return all(len(table) for table in (evaluation.train, evaluation.control, evaluation.synthetic))


def closest(evaluation: Evaluation, side: Part, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Distances of synthetic rows to the closest of as many rows of train or control, and the numbers of these.

    Args:
        evaluation: a :func:`comparable` one.
        side: ``train`` or ``control``.
        most: synthetic rows to search for; where there are more, they are drawn.
    """
    size = min(len(evaluation.train), len(evaluation.control))
    searched = min(len(evaluation.synthetic), _affordable(len(evaluation.train)))
    count = searched if most is None else min(most, searched)
    if side == "train" and size == len(evaluation.train) and count == searched:
        distances, numbers = _two_nearest(evaluation, "synthetic")
        return distances[:, 0], numbers[:, 0]

    def compute() -> tuple[np.ndarray, np.ndarray]:
        spaces = gower_spaces(evaluation)
        rows = _subsample(spaces[side], size, evaluation.seed)
        queries = spaces["synthetic"].take(drawn(evaluation, "synthetic", count))
        distances, numbers = kneighbors(queries, spaces[side].take(rows))
        return distances[:, 0], rows[numbers[:, 0]]

    return evaluation.once(("closest", side, count), compute)


def _two_nearest(evaluation: Evaluation, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Distances of rows of a part to the two nearest train rows, and their numbers, each of shape ``(rows, 2)``."""

    def compute() -> tuple[np.ndarray, np.ndarray]:
        spaces = gower_spaces(evaluation)
        queries = spaces[part].take(drawn(evaluation, part, _affordable(len(evaluation.train))))
        return kneighbors(queries, spaces["train"], k=2)

    return evaluation.once(("two nearest", part), compute)


def _effective_rows(hits: np.ndarray, cluster: np.ndarray) -> float:
    """Independent rows that give a share as sure as these, of which those of a cluster share their fate.

    By the variance of the sum of cluster totals; where all rows agree, the number of clusters.

    Args:
        hits: 0 to 1, shape ``(rows,)``.
        cluster: number of each row's cluster, likewise.
    """
    share = hits.mean()
    clusters, place = np.unique(cluster, return_inverse=True)
    spread = float((np.bincount(place, hits - share) ** 2).sum())
    return min(len(hits), float(((hits - share) ** 2).sum()) * len(hits) / spread) if spread else float(len(clusters))


def _affordable(rows: int) -> int:
    """How many rows to search for among some rows, all pairs being compared."""
    return max(1, PAIRS // rows)


def _subsample(space: Space, size: int, seed: int) -> np.ndarray:
    """Numbers of rows drawn at random without replacement, in a way that does not depend on their order."""
    if len(space) == size:
        return np.arange(size)
    order: np.ndarray = np.lexsort([*space.codes.T, *space.missing.T, *space.numbers.T])
    rows: np.ndarray = order[np.random.default_rng(seed).permutation(len(order))[:size]]
    return rows
