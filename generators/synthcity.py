"""Generators of synthcity (Qian et al. 2023, arXiv 2301.07573), as its maintained fork runs them.

The table goes in coded: missing values by :mod:`.missing`, categories as whole numbers in the order
of the card. synthcity itself then decides what is discrete: a column with at most ten distinct
values is, any other is treated as continuous, also a category with more than ten codes. Rows beyond
the range of the train rows, and repeated rows, are thrown away and drawn again, as it does by default.

The differentially private plugins bound the influence of a row on their *networks* (or tables of
counts) by the nominal epsilon. It does not cover what synthcity and synthward read from the rows
beside that: codes in use, ranges, the encoder of continuous columns, early stopping.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import tempfile
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .base import Access
from .missing import MissingCodec
from .tables import TableModel, global_seeds

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from ..benchmarks.schema import TableSchema

# Plugins of synthcity that do not run with the versions that synthward allows, and why.
UNSUPPORTED = {
    "aim": "synthcity's AIM fails on the column types that its own encoder makes",
    "decaf": "synthcity's DECAF needs a torchvision that fits an older torch",
    "goggle": "synthcity's GOGGLE needs dgl, which has no release for this torch",
    "great": "synthcity's GReaT fetches a language model from a hub, and cells run without a network",
}


@dataclass(eq=False)
class Plugin(TableModel):
    """A plugin of synthcity; the fields of a subclass are parameters of the plugin.

    Attributes:
        sampling_patience: rounds of drawing anew in place of rows that were thrown away; after
            them the table stays short.
    """

    access = Access.ROWS
    version: ClassVar[str | None] = "1"
    requires = ("synthcity", "torch")
    extra = "synthcity"
    module: ClassVar[str]

    sampling_patience: int = 500

    def _parameters(self, classifies: bool) -> dict[str, Any]:
        """Parameters of the plugin; ``classifies`` says that the table has classes to predict."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def _fit_rows(self, rows: pd.DataFrame, seed: int) -> None:
        import numpy as np

        self._missing = MissingCodec.learn(rows)
        coded = self._missing.encode(rows, np.random.default_rng(seed))
        self._codes = _Codes.learn(coded, self._schema)
        target = self._schema.target if self._schema.target in rows.columns else None
        classifies = target is not None and not self._schema[target].numeric
        # The temporary folder stands in for ./workspace, which synthcity would leave behind.
        with _quiet(), _one_process(), global_seeds(seed), tempfile.TemporaryDirectory() as folder:
            import torch
            from synthcity.plugins.core.dataloader import GenericDataLoader

            plugin = importlib.import_module(f"synthcity.plugins.{self.module}").plugin
            self._plugin = plugin(
                **self._parameters(classifies), random_state=seed, workspace=Path(folder), device=torch.device("cpu")
            )
            loader = GenericDataLoader(
                self._codes.encode(coded),
                target_column=None if target is None else self._codes.names[target],
                random_state=seed,
            )
            self._plugin.fit(loader)

    def _sample_rows(self, n: int, seed: int) -> pd.DataFrame:
        with _quiet(), global_seeds(seed):
            sampled = self._plugin.generate(count=n, random_state=seed).dataframe()
        return self._missing.decode(self._codes.decode(sampled.reset_index(drop=True)))


@dataclass(eq=False)
class BayesianNetwork(Plugin):
    """Bayesian network over the distinct values of all columns, with noise added to numbers.

    Attributes:
        struct_learning_search_method: ``tree_search``, ``hillclimb`` or ``pc``.
        struct_learning_score: ``k2``, ``bdeu``, ``bic`` or ``bds``.
        struct_learning_n_iter: steps of the search.
        struct_max_indegree: most parents of a column; of ``hillclimb`` alone.
        encoder_max_clusters: components of the mixture that scales a continuous column.
        encoder_noise_scale: standard deviation of the noise on that scale.
    """

    module = "generic.plugin_bayesian_network"
    preload = (f"synthcity.plugins.{module}",)

    struct_learning_n_iter: int = 1000
    struct_learning_search_method: str = "tree_search"
    struct_learning_score: str = "k2"
    struct_max_indegree: int = 4
    encoder_max_clusters: int = 10
    encoder_noise_scale: float = 0.1


@dataclass(eq=False)
class ARF(Plugin):
    """Adversarial random forest (Watson et al. 2023, arXiv 2205.09435).

    Attributes:
        num_trees: trees of each forest.
        delta: tolerance: training ends when the out-of-bag accuracy is below .5 + ``delta``.
        max_iters: most rounds of the adversarial loop.
        early_stop: whether to end when a round brings no gain.
        min_node_size: fewest rows of a leaf.
    """

    module = "generic.plugin_arf"
    preload = (f"synthcity.plugins.{module}",)

    num_trees: int = 30
    delta: float = 0
    max_iters: int = 10
    early_stop: bool = True
    min_node_size: int = 5


@dataclass(eq=False)
class DDPM(Plugin):
    """Diffusion model for tables, TabDDPM (Kotelnikov et al. 2023, arXiv 2209.15421).

    A target to classify conditions the model and is drawn by its frequency in the train rows.

    Attributes:
        n_iter: epochs.
        lr: learning rate of AdamW.
        weight_decay: of AdamW.
        batch_size: rows per step.
        num_timesteps: steps of the diffusion.
        gaussian_loss_type: ``mse`` or ``kl``.
        scheduler: ``cosine`` or ``linear``.
        dim_embed: width of the embedding of time and class.
    """

    module = "generic.plugin_ddpm"
    preload = (f"synthcity.plugins.{module}",)

    n_iter: int = 1000
    lr: float = 0.002
    weight_decay: float = 1e-4
    batch_size: int = 1024
    num_timesteps: int = 1000
    gaussian_loss_type: str = "mse"
    scheduler: str = "cosine"
    dim_embed: int = 128

    def _parameters(self, classifies: bool) -> dict[str, Any]:
        return super()._parameters(classifies) | {"is_classification": classifies}


@dataclass(frozen=True)
class _Codes:
    """Neutral column names, and whole numbers for categories.

    Attributes:
        names: column to its name inside the plugin.
        levels: categorical column to its levels: those in use, in the order of the card.
    """

    names: dict[str, str]
    levels: dict[str, list[str]]

    @classmethod
    def learn(cls, coded: pd.DataFrame, schema: TableSchema) -> Self:
        names = {name: f"c{i}" for i, name in enumerate(coded.columns)}
        levels: dict[str, list[str]] = {}
        for name in coded.columns:
            if coded[name].dtype == object:
                card = list(schema[name].codes) if name in schema.names else []
                used = set(coded[name])
                levels[name] = [code for code in card if code in used] + sorted(used - set(card))
        return cls(names, levels)

    def encode(self, coded: pd.DataFrame) -> pd.DataFrame:
        numbers = coded.copy()
        for name, levels in self.levels.items():
            numbers[name] = coded[name].map({level: i for i, level in enumerate(levels)}).astype("int64")
        return numbers.rename(columns=self.names)

    def decode(self, numbers: pd.DataFrame) -> pd.DataFrame:
        coded = numbers[list(self.names.values())].set_axis(list(self.names), axis=1)
        for name, levels in self.levels.items():
            code = coded[name].astype("float64").round().clip(0, len(levels) - 1).astype(int)
            coded[name] = code.map(dict(enumerate(levels))).astype(object)
        return coded


def _one_process() -> Any:
    """Keep pgmpy from starting a worker per core: the sweep, not a cell, decides on parallelism."""
    import joblib

    return joblib.parallel_config(backend="sequential")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Swallow progress bars, printed accuracies and warnings of the libraries; errors still come through."""
    silence = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
        warnings.simplefilter("ignore")
        yield
