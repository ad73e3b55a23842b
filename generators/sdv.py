"""Generators of the Synthetic Data Vault (SDV 2.0): Gaussian copula, CTGAN, TVAE and CopulaGAN.

The metadata come from the schema card: SDV is not asked to guess what a column is. Values are
rounded and clipped to the range of the train rows, as SDV does by default. Missing numbers are made
at the train rows' rate, at random; a missing category is a category of its own to SDV.

SDV is under the Business Source License 1.1: free to use, but not to offer as a service that
makes synthetic data for others.
"""

from __future__ import annotations

import contextlib
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..results.errors import UserError
from .tables import TableModel, global_seeds
from .view import Access

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from ..benchmarks.schema import TableSchema

TABLE = "table"
DISTRIBUTIONS = ("norm", "beta", "truncnorm", "gamma", "uniform", "gaussian_kde")


class SDVModel(TableModel):
    """One of SDV's single-table synthesizers."""

    access = Access.ROWS
    version: ClassVar[str | None] = "1"
    requires = ("sdv", "torch")
    extra = "sdv"
    preload = ("sdv.single_table", "torch")

    @abstractmethod
    def _synthesizer(self, metadata: Any) -> Any:
        """The unfitted synthesizer for tables of these metadata."""

    def _fit_rows(self, rows: pd.DataFrame, seed: int) -> None:
        with _quiet(), global_seeds(seed), _fit_state(seed):
            self._model = self._synthesizer(_metadata(self._schema, rows))
            self._model.fit({TABLE: rows})

    def _sample_rows(self, n: int, seed: int) -> pd.DataFrame:
        import numpy as np

        # Left alone, SDV samples with one fixed seed, and its transformers, which place the missing
        # values, keep states of their own that move on with every call.
        self._model._set_random_state(seed)
        states = np.random.SeedSequence(seed).spawn(len(self._model.get_transformers()))
        for transformer, state in zip(self._model.get_transformers().values(), states, strict=True):
            if transformer is not None:
                state_of_column = np.random.RandomState(np.random.MT19937(state))
                transformer.set_random_state(state_of_column, "reverse_transform")
        with _quiet(), global_seeds(seed):
            sampled: pd.DataFrame = self._model.sample(n)[TABLE]
        return sampled


@dataclass(eq=False)
class GaussianCopula(SDVModel):
    """Marginals of one family each, joined by a Gaussian copula.

    Attributes:
        default_distribution: family of the marginals: ``beta`` (SDV's default), ``norm``,
            ``truncnorm``, ``gamma``, ``uniform`` or ``gaussian_kde``.
    """

    default_distribution: str = "beta"

    def _synthesizer(self, metadata: Any) -> Any:
        from sdv.single_table import GaussianCopulaSynthesizer

        _check_distribution(self.default_distribution)
        return GaussianCopulaSynthesizer(metadata, default_distribution=self.default_distribution)


@dataclass(eq=False)
class CTGAN(SDVModel):
    """Conditional GAN for tables (Xu et al. 2019, arXiv 1907.00503).

    Attributes:
        epochs: passes over the train rows.
        batch_size: rows per step; even, and a multiple of ``pac``.
        embedding_dim: width of the noise.
        generator_dim, discriminator_dim: widths of the hidden layers.
        generator_lr, discriminator_lr: learning rates of Adam.
        generator_decay, discriminator_decay: weight decays of Adam.
        discriminator_steps: discriminator updates per generator update.
        log_frequency: whether categories are drawn by the logarithm of their frequency in training.
        pac: rows that the discriminator judges together.
        enable_gpu: whether to train on a GPU if there is one; tables are then those of that device.
    """

    epochs: int = 300
    batch_size: int = 500
    embedding_dim: int = 128
    generator_dim: Sequence[int] = (256, 256)
    discriminator_dim: Sequence[int] = (256, 256)
    generator_lr: float = 2e-4
    discriminator_lr: float = 2e-4
    generator_decay: float = 1e-6
    discriminator_decay: float = 1e-6
    discriminator_steps: int = 1
    log_frequency: bool = True
    pac: int = 10
    enable_gpu: bool = False

    def _settings(self) -> dict[str, Any]:
        if self.batch_size % 2 or self.batch_size % self.pac:
            raise UserError(f"batch_size {self.batch_size} must be even and a multiple of pac ({self.pac})")
        return {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "embedding_dim": self.embedding_dim,
            "generator_dim": tuple(self.generator_dim),
            "discriminator_dim": tuple(self.discriminator_dim),
            "generator_lr": self.generator_lr,
            "discriminator_lr": self.discriminator_lr,
            "generator_decay": self.generator_decay,
            "discriminator_decay": self.discriminator_decay,
            "discriminator_steps": self.discriminator_steps,
            "log_frequency": self.log_frequency,
            "pac": self.pac,
            "enable_gpu": self.enable_gpu,
        }

    def _synthesizer(self, metadata: Any) -> Any:
        from sdv.single_table import CTGANSynthesizer

        return CTGANSynthesizer(metadata, **self._settings())

    def details(self) -> dict[str, Any]:
        return _losses(self)


@dataclass(eq=False)
class CopulaGAN(CTGAN):
    """CTGAN on values whose numeric marginals a Gaussian copula has made normal.

    Attributes:
        default_distribution: family of the marginals, as in :class:`GaussianCopula`.
    """

    default_distribution: str = "beta"

    def _synthesizer(self, metadata: Any) -> Any:
        from sdv.single_table import CopulaGANSynthesizer

        _check_distribution(self.default_distribution)
        return CopulaGANSynthesizer(metadata, default_distribution=self.default_distribution, **self._settings())


@dataclass(eq=False)
class TVAE(SDVModel):
    """Variational autoencoder for tables (Xu et al. 2019, arXiv 1907.00503).

    Attributes:
        epochs: passes over the train rows.
        batch_size: rows per step.
        embedding_dim: width of the latent space.
        compress_dims, decompress_dims: widths of the encoder's and the decoder's hidden layers.
        l2scale: weight decay of Adam.
        loss_factor: weight of the reconstruction error.
        enable_gpu: whether to train on a GPU if there is one; tables are then those of that device.
    """

    epochs: int = 300
    batch_size: int = 500
    embedding_dim: int = 128
    compress_dims: Sequence[int] = (128, 128)
    decompress_dims: Sequence[int] = (128, 128)
    l2scale: float = 1e-5
    loss_factor: float = 2
    enable_gpu: bool = False

    def _synthesizer(self, metadata: Any) -> Any:
        from sdv.single_table import TVAESynthesizer

        return TVAESynthesizer(
            metadata,
            epochs=self.epochs,
            batch_size=self.batch_size,
            embedding_dim=self.embedding_dim,
            compress_dims=tuple(self.compress_dims),
            decompress_dims=tuple(self.decompress_dims),
            l2scale=self.l2scale,
            loss_factor=self.loss_factor,
            enable_gpu=self.enable_gpu,
        )

    def details(self) -> dict[str, Any]:
        return _losses(self)


def _metadata(schema: TableSchema, rows: pd.DataFrame) -> Any:
    """SDV's metadata for the columns at hand: numbers are numerical, codes categorical; no ids."""
    from sdv.metadata import Metadata

    sdtypes = {name: "numerical" if schema[name].numeric else "categorical" for name in rows.columns}
    return Metadata.load_from_dict(
        {"tables": {TABLE: {"columns": {name: {"sdtype": sdtype} for name, sdtype in sdtypes.items()}}}}
    )


def _losses(model: SDVModel) -> dict[str, Any]:
    """Epochs run and the losses at the last one."""
    if model._empty:
        return {"epochs": 0}
    losses = model._model.get_loss_values()
    last = losses[losses["Epoch"] == losses["Epoch"].max()].mean()
    facts: dict[str, Any] = {"epochs": int(losses["Epoch"].max()) + 1}
    for name in losses.columns.difference(["Epoch", "Batch"]):
        facts[f"final_{name.lower().replace(' ', '_')}"] = round(float(last[name]), 6)
    return facts


def _check_distribution(name: str) -> None:
    if name not in DISTRIBUTIONS:
        raise UserError(f"default_distribution '{name}' is unknown: choose one of {', '.join(DISTRIBUTIONS)}")


@contextlib.contextmanager
def _fit_state(seed: int) -> Iterator[None]:
    """Let SDV's transformers draw from the seed while fitting: they share one state per process."""
    import numpy as np
    from rdt.transformers.base import BaseTransformer

    before = BaseTransformer.INITIAL_FIT_STATE
    BaseTransformer.INITIAL_FIT_STATE = np.random.RandomState(seed)
    try:
        yield
    finally:
        BaseTransformer.INITIAL_FIT_STATE = before


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep advice on saving metadata and on slow transformers out of the log of a sweep."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
