"""Curation of generated rows by learning dynamics, around any generator.

CLLM (Seedat, Huynh, van Breugel and van der Schaar 2024, Curated LLM, ICML, arXiv 2312.12112) trains gradient
boosting on the real rows that are at hand and looks at each generated row over the boosting iterations, the
checkpoints: the mean probability v of its own label (confidence) and the mean of v (1 - v) (aleatoric
uncertainty). Rows that the model is sure of in the other direction, of low confidence and low uncertainty, have
labels that contradict the real rows and are discarded. Easy and ambiguous rows are kept.

Thresholds are those of the authors' code (github.com/seedatnabeel/CLLM): confidence .2 and, in its experiments
(``notebooks/compute_downstream.ipynb``), uncertainty .15. Its ``src/curation.py`` can also set the latter to .75 of
the range of the uncertainty over the generated rows. That is no default here: where the classes are easily told
apart all rows are equally certain, the range shrinks below every uncertainty, and no row is ever discarded.

What follows from the method: rows of a class that is rarer than the confidence threshold start below it, and are
kept only where the model learns to expect them. The details count what is discarded by class.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..benchmarks.seeds import derive
from ..results.errors import StoppedError, UserError
from .base import Generator, missing_requirement
from .estimate import Estimate
from .spec import GeneratorSpec
from .view import TIERS, Access, TrainView

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ..benchmarks.dataset import DatasetCard
    from ..benchmarks.schema import TableSchema

ADAPTIVE = 0.75  # of the range of the uncertainty
COSTS = ("llm", "served_seconds")  # among the details of a round
NO_COSTS = ("model",)  # among the entries of those


@dataclass(eq=False)
class Curated(Generator):
    """Another generator, whose rows are kept only if their labels agree with what real rows teach.

    The model behind the curation learns from all train rows if the generator inside may see them. Otherwise it
    learns from a pool of them, and the whole has ``examples`` access; a generator inside that is shown examples is
    shown those of the pool alone, as in CLLM. The generator inside sees no more than it declares.

    The first round has the seeds that the generator inside would have on its own. With the same pool, and one row
    asked for each that is lacking, it gives the very table that it would give: what sets the two apart is the
    curation alone, and a language model with a cache is paid for the replacements only.

    Attributes:
        generator: config of the generator inside: ``_target_`` and its parameters.
        oversample: rows generated for each row that is still lacking.
        rounds: rounds of generation, after which the table stays short. Each has the limits of the generator
            inside to itself, such as the deadline of a language model.
        pool: train rows for the curation where the generator inside may not see all of them; 20 is the smallest
            number in CLLM.
        checkpoints: boosting iterations.
        confidence: threshold of the mean probability of a row's own label.
        uncertainty: threshold of the aleatoric uncertainty, which is .25 at most; ``None`` takes .75 of its
            range over the rows of the first round.
    """

    version: ClassVar[str | None] = "2"
    requires = ("xgboost",)
    preload = ("xgboost",)

    generator: dict[str, Any]
    oversample: float = 1.0
    rounds: int = 12
    pool: int = 20
    checkpoints: int = 100
    confidence: float = 0.2
    uncertainty: float | None = 0.15

    def __post_init__(self) -> None:
        if min(self.oversample, self.rounds, self.pool, self.checkpoints) < 1:
            raise UserError("oversample, rounds, pool and checkpoints are at least 1")
        self._inside = GeneratorSpec.parse(self.generator).build()
        self.access = max(self._inside.access, Access.EXAMPLES, key=TIERS.index)
        self.missing = self._inside.missing

    @classmethod
    def defining(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        inside = GeneratorSpec.parse(params["generator"])
        return {**params, "generator": {"_target_": inside.target, "_version_": inside.version(), **inside.facts()}}

    def supports(self, schema: TableSchema) -> str | None:
        if schema.target is None or schema[schema.target].numeric:
            return "curation judges the label of a row, and the table has no classes to predict"
        if not schema.features:
            return "curation judges the label of a row by its other columns, and there are none"
        return missing_requirement(type(self._inside)) or self._inside.supports(schema)

    def refuses(self, card: DatasetCard) -> str | None:
        return self._inside.refuses(card)

    def prepare(self) -> None:
        self._inside.prepare()

    def language_model(self) -> Any | None:
        return self._inside.language_model()

    def estimate(self, view: TrainView, n: int) -> Estimate | None:
        """Of the first round."""
        return self._inside.estimate(self._view_inside(view, 0), math.ceil(self.oversample * n))

    def attachments(self) -> dict[str, bytes]:
        return self._attachments

    def fit(self, view: TrainView, seed: int) -> Self:
        """Train the model behind the curation, then the generator inside.

        Raises:
            UserError: the rows for the curation are of one class; said before anything else is spent.
        """
        if view.access in (Access.ROWS, Access.REFERENCE):
            rows = view.rows()
        else:
            rows = view.pool(self.pool, seed).examples(self.pool, seed, prompt=False)
        self._model = LabelModel(view.schema, self.checkpoints).fit(rows, derive(seed, "curation", "model"))
        self._inside.fit(self._view_inside(view, seed), seed)
        return self

    def _view_inside(self, view: TrainView, seed: int) -> TrainView:
        """What the generator inside may see."""
        access = self._inside.access
        return (view.pool(self.pool, seed) if access is Access.EXAMPLES else view).restricted(access)

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        import pandas as pd

        self._counts: Counter[str] = Counter(generated=0, easy=0, ambiguous=0, unlabelled=0, discarded=0)
        self._discarded: Counter[str] = Counter()
        self._threshold = self.uncertainty
        self._attachments: dict[str, bytes] = {}
        self._files: dict[str, bytes] = {}
        self._rounds: list[dict[str, Any]] = []
        self._spent: dict[str, Any] = {}
        parts: list[pd.DataFrame] = []
        lacking = n
        while lacking and len(self._rounds) < self.rounds:
            made = self._generate(math.ceil(self.oversample * lacking), seed)
            if made.empty:
                break
            parts.append(made[self._judge(made)].head(lacking))
            lacking -= len(parts[-1])
        self._counts["surplus"] = self._kept - (n - lacking)
        if not parts:
            return pd.DataFrame(columns=list(self._model.schema.names))
        return pd.concat(parts, ignore_index=True)

    def details(self) -> dict[str, Any]:
        """What the generator inside says of the first round, with the cost of all rounds; the rest under ``curation``.

        Further rounds keep their own accounts there.
        """
        facts = self._rounds[0] | self._spent
        if "tokens_per_valid_row" in facts.get("llm", {}):
            tokens = facts["llm"]["prompt_tokens"] + facts["llm"]["completion_tokens"]
            per_row = round(tokens / self._kept, 2) if self._kept else None
            facts["llm"] = {**facts["llm"], "tokens_per_valid_row": per_row}
        return facts | {
            "curation": {
                **self._counts,
                "discarded_by_class": dict(sorted(self._discarded.items())),
                "real_rows": self._model.rows,
                "uncertainty": self._threshold,
                "further_rounds": self._rounds[1:],
            }
        }

    @property
    def _kept(self) -> int:
        """Rows that were not discarded, whether the table has room for them or not."""
        return sum(self._counts[k] for k in ("easy", "ambiguous", "unlabelled"))

    def _generate(self, n: int, seed: int) -> pd.DataFrame:
        """The rows of the next round. The generator inside speaks of its last ``sample``: what it says is kept."""
        import pandas as pd

        turn = len(self._rounds)
        ended = {}
        try:
            made = self._inside.sample(n, derive(seed, "curation", str(turn)) if turn else seed)
        except StoppedError:
            raise
        except UserError as error:
            if not turn:
                raise
            ended = {"ended": str(error)}  # the table stays short, but keeps what there is
            made = pd.DataFrame(columns=list(self._model.schema.names))
        self._rounds.append({**self._inside.details(), **ended})
        self._account(turn)
        return self._model.schema.canonical(made)

    def _account(self, turn: int) -> None:
        """Add up costs and files, unless a generator that asked its model once drew more from what it had said."""
        files = self._inside.attachments()
        if turn and files and files == self._files:
            return
        self._files = files
        self._attachments |= {(f"round{turn + 1}.{name}" if turn else name): files[name] for name in files}
        self._spent = added(self._spent, {k: v for k, v in self._rounds[-1].items() if k in COSTS})

    def _judge(self, table: pd.DataFrame) -> np.ndarray:
        """Which rows to keep, shape ``(rows,)``. Without a label there is nothing to judge: such rows stay."""
        import numpy as np

        labelled = self._model.labelled(table)
        confidence, uncertainty = self._model.dynamics(table[labelled])
        if self._threshold is None and len(uncertainty):
            self._threshold = float(ADAPTIVE * np.ptp(uncertainty))
        sure = uncertainty <= (self._threshold or 0.0)
        wrong = sure & (confidence <= self.confidence)
        easy = sure & (confidence >= 1 - self.confidence)
        self._counts["generated"] += len(table)
        self._counts["unlabelled"] += int((~labelled).sum())
        self._counts["discarded"] += int(wrong.sum())
        self._counts["easy"] += int(easy.sum())
        self._counts["ambiguous"] += int((~wrong & ~easy).sum())
        self._discarded.update(table.loc[labelled, str(self._model.schema.target)][wrong])
        good = np.ones(len(table), dtype=bool)
        good[np.flatnonzero(labelled)[wrong]] = False
        return good


def added(a: Any, b: Any) -> Any:
    """Two accounts as one.

    Numbers are added, lists united, mappings joined entry by entry. Of what cannot be added the first stands, and
    so does all that says which model it was.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        return a | {k: added(a[k], b[k]) if k in a and k not in NO_COSTS else b[k] for k in b}
    if isinstance(a, list) and isinstance(b, list):
        return [*a, *(item for item in b if item not in a)]
    if type(a) in (int, float) and type(b) in (int, float):
        return round(a + b, 9)
    return a


@dataclass(eq=False)
class LabelModel:
    """Gradient boosting of the target, asked at every iteration.

    Attributes:
        schema: of the table; its target has classes.
        checkpoints: boosting iterations.
    """

    schema: TableSchema
    checkpoints: int

    def fit(self, rows: pd.DataFrame, seed: int) -> Self:
        """Learn from canonical rows; those without a label are left out.

        Raises:
            UserError: they are of one class.
        """
        from xgboost import XGBClassifier

        known = rows[self.labelled(rows)]
        labels = known[str(self.schema.target)]
        self.rows = len(known)
        self._classes = {code: k for k, code in enumerate(sorted(labels.unique()))}
        if len(self._classes) < 2:
            held = " and ".join(self._classes) or "none"
            raise UserError(
                f"curation needs two classes, but its {len(known)} real rows hold {held}: allow it more rows"
            )
        self._model = XGBClassifier(
            n_estimators=self.checkpoints, n_jobs=1, random_state=seed % 2**31, enable_categorical=True, verbosity=0
        )
        self._model.fit(self._features(known), labels.map(self._classes).to_numpy(dtype=int))
        return self

    def labelled(self, table: pd.DataFrame) -> np.ndarray:
        """Which rows have a label of the card, shape ``(rows,)``."""
        target = self.schema[str(self.schema.target)]
        found: np.ndarray = table[target.name].isin(list(target.codes)).to_numpy()
        return found

    def dynamics(self, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Confidence in the label of each row and its aleatoric uncertainty, both of shape ``(rows,)``.

        A class that no real row has is not expected: confidence and uncertainty are 0.
        """
        import numpy as np

        if table.empty:
            return np.zeros(0), np.zeros(0)
        features = self._features(table)
        place = table[str(self.schema.target)].map(self._classes)
        own = np.zeros((self.checkpoints, len(table)))
        seen = np.flatnonzero(place.notna())
        column = place.iloc[seen].to_numpy(dtype=int)
        for i in range(self.checkpoints):
            own[i, seen] = self._model.predict_proba(features, iteration_range=(0, i + 1))[seen, column]
        return own.mean(axis=0), (own * (1 - own)).mean(axis=0)

    def _features(self, table: pd.DataFrame) -> pd.DataFrame:
        """Numbers as they are, codes as categories; what is no code of the card counts as missing."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for name in self.schema.features:
            if self.schema[name].numeric:
                columns[name] = table[name].to_numpy(dtype=float)
            else:
                columns[name] = pd.Categorical(table[name], categories=list(self.schema[name].codes))
        # XGBoost takes no brackets in names.
        return pd.DataFrame(columns).set_axis([f"f{i}" for i in range(len(columns))], axis=1)
