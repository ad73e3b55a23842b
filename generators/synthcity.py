"""Generators of synthcity (Qian et al. 2023, arXiv 2301.07573), as its maintained fork runs them.

The table goes in coded: missing values by :mod:`.missing`, categories as whole numbers in the order
of the card. synthcity itself then decides what is discrete: a column with at most ten distinct
values is, any other is treated as continuous, also a category with more than ten codes. Rows beyond
the range of the train rows, and repeated rows, are thrown away and drawn again, as it does by default.
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

from ..results.errors import UserError
from .base import Generator
from .codes import CategoryCodes
from .missing import MissingCodec
from .tables import TableModel, constants, global_seeds
from .view import Access, TrainView

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from ..benchmarks.schema import TableSchema

# Plugins of synthcity that do not run with the versions that synthward allows, and why.
UNSUPPORTED = {
    "aim": "synthcity's AIM fails on the column types that its own encoder makes",
    "decaf": "synthcity's DECAF needs a torchvision that fits an older torch",
    "goggle": "synthcity's GOGGLE needs dgl, which has no release for this torch",
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
        # A column with gaps may hold a single value beside them.
        self._single = constants(coded)
        coded = coded.drop(columns=list(self._single))
        self._codes = CategoryCodes.learn(coded, self._schema)
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
        coded = self._codes.decode(sampled.reset_index(drop=True))
        return self._missing.decode(coded.assign(**self._single))


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
        delta: tolerance: training ends when the out-of-bag accuracy is below .5 + ``delta``; synthcity
            takes whole numbers only, so that any but 0 ends it at once.
        max_iters: most rounds of the adversarial loop.
        early_stop: whether to end when a round brings no gain.
        min_node_size: fewest rows of a leaf.
    """

    module = "generic.plugin_arf"
    preload = (f"synthcity.plugins.{module}",)

    num_trees: int = 30
    delta: int = 0
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

    def details(self) -> dict[str, Any]:
        if self._empty or self._plugin.loss_history.empty:
            return {}
        return {"final_loss": float(self._plugin.loss_history["loss"].iloc[-1])}


@dataclass(eq=False)
class NFlow(Plugin):
    """Normalizing flow: neural spline flow (Durkan et al. 2019, arXiv 1906.04032).

    Attributes:
        n_iter: most epochs; training ends early when a classifier tells real from synthetic no worse.
        n_layers_hidden, n_units_hidden: of the networks.
        num_transform_blocks: transforms of the flow.
        num_bins: bins of the spline.
        dropout: of the networks.
        lr: learning rate.
        batch_size: rows per step.
        encoder_max_clusters: components of the mixture that scales a continuous column.
        patience: checks without gain after which training ends.
    """

    module = "generic.plugin_nflow"
    preload = (f"synthcity.plugins.{module}",)

    n_iter: int = 1000
    n_layers_hidden: int = 1
    n_units_hidden: int = 100
    num_transform_blocks: int = 1
    num_bins: int = 8
    dropout: float = 0.1
    lr: float = 1e-3
    batch_size: int = 200
    encoder_max_clusters: int = 10
    patience: int = 5


@dataclass(eq=False)
class RTVAE(Plugin):
    """Robust variational autoencoder for tables (Akrami et al. 2020, arXiv 2006.08204).

    Attributes:
        n_iter: most epochs.
        lr, weight_decay: of Adam.
        batch_size: rows per step.
        n_units_embedding: width of the latent space.
        robust_divergence_beta: beta of the divergence that bounds the pull of outliers.
        data_encoder_max_clusters: components of the mixture that scales a continuous column.
        patience: checks without gain after which training ends.
    """

    module = "generic.plugin_rtvae"
    preload = (f"synthcity.plugins.{module}",)

    n_iter: int = 1000
    lr: float = 1e-3
    weight_decay: float = 1e-5
    batch_size: int = 200
    n_units_embedding: int = 500
    robust_divergence_beta: int = 2
    data_encoder_max_clusters: int = 10
    patience: int = 5


@dataclass(eq=False)
class AdsGAN(Plugin):
    """GAN with a penalty on identifiable rows (Yoon et al. 2020, doi 10.1109/JBHI.2020.2980262).

    Attributes:
        n_iter: most epochs; training ends early when a classifier tells real from synthetic no worse.
        lr, weight_decay: of Adam.
        batch_size: rows per step.
        lambda_gradient_penalty: weight of the gradient penalty.
        lambda_identifiability_penalty: weight of the penalty on identifiable rows.
        encoder_max_clusters: components of the mixture that scales a continuous column.
        patience: checks without gain after which training ends.
    """

    module = "privacy.plugin_adsgan"
    preload = (f"synthcity.plugins.{module}",)

    n_iter: int = 10000
    lr: float = 1e-3
    weight_decay: float = 1e-3
    batch_size: int = 200
    lambda_gradient_penalty: float = 10
    lambda_identifiability_penalty: float = 0.1
    encoder_max_clusters: int = 5
    patience: int = 5


@dataclass(eq=False)
class Unsupported(Generator):
    """A plugin that does not run here, on the board with its reason.

    Attributes:
        plugin: name of the plugin in synthcity.
    """

    plugin: str

    version: ClassVar[str | None] = "1"

    def supports(self, schema: TableSchema) -> str | None:
        return UNSUPPORTED.get(self.plugin, f"synthcity has no plugin '{self.plugin}' that synthward knows")

    def fit(self, view: TrainView, seed: int) -> Self:
        raise UserError(self.supports(view.schema))

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        raise UserError(f"{self.plugin} cannot sample")


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
