"""Differentially private generators of synthcity.

They bound the influence of a row on their networks, or tables of counts, by the *nominal* epsilon.
It does not cover what synthcity and synthward read from the rows beside that: codes in use, ranges,
which values are missing, the encoder of continuous columns, early stopping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .synthcity import Plugin


@dataclass(eq=False)
class DPPlugin(Plugin):
    """A differentially private plugin.

    Attributes:
        epsilon: nominal privacy budget; see the module for what it leaves out.
    """

    epsilon: float = 1.0

    def details(self) -> dict[str, Any]:
        return {"nominal_epsilon": self.epsilon}


@dataclass(eq=False)
class DPGAN(DPPlugin):
    """GAN with a differentially private discriminator (Xie et al. 2018, arXiv 1802.06739).

    Attributes:
        delta: of the guarantee; one over the train rows if ``None``.
        dp_max_grad_norm: norm to which the gradient of a row is clipped.
        n_iter: most epochs; training ends early when a classifier tells real from synthetic no worse.
        lr, weight_decay: of Adam.
        batch_size: rows per step.
        encoder_max_clusters: components of the mixture that scales a continuous column.
        patience: checks without gain after which training ends.
    """

    module = "privacy.plugin_dpgan"
    preload = (f"synthcity.plugins.{module}",)

    delta: float | None = None
    dp_max_grad_norm: float = 2
    n_iter: int = 2000
    lr: float = 1e-3
    weight_decay: float = 1e-3
    batch_size: int = 200
    encoder_max_clusters: int = 5
    patience: int = 5


@dataclass(eq=False)
class PATEGAN(DPPlugin):
    """GAN taught by a private vote of teachers (Jordon et al. 2019, openreview S1zk9iRqF7).

    Attributes:
        n_iter: most rounds; training ends when the budget is spent.
        generator_n_iter: generator epochs per round.
        n_teachers: teachers, each with its own part of the train rows.
        teacher_template: ``linear`` (logistic regression, as in the paper) or ``xgboost``, which
            runs two threads whatever the environment asks.
        lamda: inverse scale of the noise on the vote.
        lr, weight_decay: of Adam.
        batch_size: rows per step.
        encoder_max_clusters: components of the mixture that scales a continuous column.
    """

    module = "privacy.plugin_pategan"
    preload = (f"synthcity.plugins.{module}",)

    n_iter: int = 200
    generator_n_iter: int = 10
    n_teachers: int = 10
    teacher_template: str = "linear"
    lamda: float = 1e-3
    lr: float = 1e-3
    weight_decay: float = 1e-3
    batch_size: int = 200
    encoder_max_clusters: int = 5


@dataclass(eq=False)
class PrivBayes(DPPlugin):
    """Bayesian network with noisy structure and counts (Zhang et al. 2017, doi 10.1145/3134428).

    Attributes:
        K: most parents of a column; 0 lets synthcity choose.
        n_bins: bins of a numeric column in the choice of parents. The network itself runs over the
            distinct values of the train rows, which it therefore emits as they are.
        mi_thresh: mutual information below which a column gets no parents.
        target_usefulness: ratio of information to noise by which synthcity chooses ``K``.
    """

    module = "privacy.plugin_privbayes"
    preload = (f"synthcity.plugins.{module}",)

    K: int = 0
    n_bins: int = 100
    mi_thresh: float = 0.01
    target_usefulness: int = 5
