"""The sweep as Hydra runs it: compose, plan, launch. With the sweeper, the only place that knows Hydra."""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import initialize_config_module
from hydra._internal.callbacks import Callbacks
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ..results.errors import UserError
from ..results.store import Store
from .cell import parse_limits, plan_cell
from .isolation import Worker
from .runner import run_cell
from .sweeper import run_sweep, to_plain

if TYPE_CHECKING:
    from .plans import SweepReport

CONFIG_NAME = "config"


def sweep(overrides: Sequence[str]) -> SweepReport:
    """Run a sweep.

    Args:
        overrides: in Hydra's grammar, ``generator=ctgan,tvae`` and the like. A ``conf`` folder in the
            current folder is searched before the package's own.

    Returns:
        What was planned, what was done before, and how each cell ended.

    Raises:
        UserError: an override is wrong, or a cell cannot be planned.
    """
    _register_plugins(overrides)
    own = Path.cwd() / "conf"
    search = [f"hydra.searchpath=[file://{own}]"] if own.is_dir() and own != Path(__file__).parents[1] / "conf" else []
    GlobalHydra.instance().clear()
    with initialize_config_module("synthward.conf", version_base="1.3", job_name="synthward"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        try:
            config = hydra.compose_config(CONFIG_NAME, [*search, *overrides], RunMode.MULTIRUN)
            context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config))
            return run_sweep(config, context, run_job, overrides)
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(_explain(error)) from None


def run_job(config: DictConfig) -> str:
    """One Hydra job: run the cell that a configuration describes.

    Returns:
        The cell's id; its record is in the store.
    """
    plain = to_plain(config)
    store = Store(Path(plain["store"]))
    record = run_cell(
        plan_cell(plain), plain["metrics"]["names"], store, _worker(), parse_limits(plain["limits"]), plain["retry"]
    )
    return record.id


@cache
def _worker() -> Worker:
    """The worker of this process, shared by all its jobs."""
    worker = Worker()
    atexit.register(worker.close)
    return worker


def _register_plugins(overrides: Sequence[str]) -> None:
    """Let plugins be named like the package's own: ``generator=name`` and ``generator=my_pkg.MyGenerator``."""
    configs = ConfigStore.instance()
    for plugin in entry_points(group="synthward.generators"):
        target = plugin.value.replace(":", ".")
        configs.store(group="generator", name=plugin.name, node={"name": plugin.name, "_target_": target})
    for plugin in entry_points(group="synthward.datasets"):
        configs.store(group="dataset", name=plugin.name, node=plugin.load())
    for override in overrides:
        group, _, values = override.partition("=")
        for value in values.split(",") if group == "generator" else ():
            if "." in value and not value.endswith(".yaml"):
                node = {"name": value.rpartition(".")[2], "_target_": value}
                configs.store(group="generator", name=value, node=node)


def _explain(error: Exception) -> str:
    """Hydra's message of several lines as one, with its list of options kept."""
    cause = error.__cause__
    text = " ".join(str(error).split())
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        return f"{text} ({' '.join(str(cause).split())})"
    return text
