"""The sweep as Hydra runs it: compose, plan, launch. With the sweeper, the only place that knows Hydra."""

from __future__ import annotations

import atexit
import difflib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import HydraContext, RunMode
from joblib import register_parallel_backend
from joblib.externals.loky.process_executor import TerminatedWorkerError
from joblib.parallel import LokyBackend
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ..metrics.base import did_you_mean
from ..results.errors import UserError
from ..results.store import Store
from .cell import parse_limits, plan_cell
from .isolation import Worker
from .runner import run_cell
from .sweeper import forecast_sweep, run_sweep, to_plain

if TYPE_CHECKING:
    from .plans import Forecast, SweepReport

T = TypeVar("T")

CONFIG_NAME = "synthward"  # a common name could be that of a config in the user's own folder


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
    return _composed(overrides, lambda config, context: run_sweep(config, context, run_job, overrides))


def plan(overrides: Sequence[str]) -> list[Forecast]:
    """Say what a sweep has left to do and what it should cost, without running anything.

    Args:
        overrides: as for :func:`sweep`.

    Raises:
        UserError: an override is wrong, or a cell cannot be planned.
    """
    return _composed(overrides, forecast_sweep)


def _composed(overrides: Sequence[str], use: Callable[[DictConfig, HydraContext], T]) -> T:
    """Compose the configuration of a sweep and use it, with every mistake as one line."""
    _register_plugins()
    _register_dotted(overrides)
    register_parallel_backend("loky", partial(LokyBackend, initializer=_end_with, initargs=(os.getpid(),)))
    with _hydra() as hydra:

        def compose(chosen: Iterable[str]) -> DictConfig:
            try:
                return hydra.compose_config(CONFIG_NAME, [_opened(override) for override in chosen], RunMode.MULTIRUN)
            except ValueError as error:
                if isinstance(error, OmegaConfBaseException):
                    raise
                raise UserError(f"{error}: dataset, generator and the like take a name") from None

        try:
            config = compose(overrides)
            params = config.hydra.sweeper.params or {}
            _register_dotted(f"{key}={value}" for key, value in params.items())
            context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config))
            return use(config, context)
        except (HydraException, OmegaConfBaseException) as error:
            groups = hydra.config_loader.list_groups("")
            raise UserError(
                _explain(error, lambda: compose(o for o in overrides if o.partition("=")[0] in groups))
            ) from None
        except YAMLError as error:
            raise UserError(f"a config is no valid YAML: {' '.join(str(error).split())}") from None
        except TerminatedWorkerError:
            raise UserError(
                "a worker process was killed from outside, perhaps for lack of memory: what is recorded is safe, "
                "the same command goes on from there"
            ) from None


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


@contextmanager
def _hydra() -> Iterator[Hydra]:
    """Hydra over the package's configs and, before them, those of the current folder's ``conf``.

    Hydra's own way, ``hydra.searchpath``, is not seen by sweeps such as ``generator=glob(*)``.
    """
    version.setbase("1.3")
    places = create_config_search_path("pkg://synthward.conf")
    own = Path.cwd() / "conf"
    if own.is_dir() and own != Path(__file__).parents[1] / "conf":
        places.prepend("current folder", f"file://{own}", anchor="main")
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2("synthward", places)
    finally:
        GlobalHydra.instance().clear()


@cache
def _worker() -> Worker:
    """The worker of this process, shared by all its jobs."""
    worker = Worker()
    atexit.register(worker.close)
    return worker


def _end_with(sweep: int) -> None:
    """End this worker once the process that sweeps is gone; joblib's own would wait on for minutes."""

    def watch() -> None:
        while os.getppid() == sweep:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _register_plugins() -> None:
    """Let the generators and datasets of installed plugins be named like the package's own.

    Raises:
        UserError: a plugin's dataset is no mapping, or cannot be imported.
    """
    configs = ConfigStore.instance()
    for plugin in entry_points(group="synthward.generators"):
        target = plugin.value.replace(":", ".")
        configs.store(group="generator", name=plugin.name, node={"name": plugin.name, "_target_": target})
    for plugin in entry_points(group="synthward.datasets"):
        try:
            configs.store(group="dataset", name=plugin.name, node=dict(plugin.load()))
        except Exception as error:  # a plugin may raise anything when it is imported
            raise UserError(
                f"the dataset '{plugin.name}' of an installed plugin cannot be loaded "
                f"({type(error).__name__}: {' '.join(str(error).split())}): correct or uninstall it"
            ) from None


def _register_dotted(overrides: Iterable[str]) -> None:
    """Let a class without any config be named: ``generator=my_pkg.MyGenerator``."""
    for override in overrides:
        group, _, values = override.partition("=")
        for target in _DOTTED.findall(values) if group == "generator" else ():
            node = {"name": target.rpartition(".")[2], "_target_": target}
            ConfigStore.instance().store(group="generator", name=target, node=node)


_DOTTED = re.compile(r"(?<![\w.*])[^\W\d]\w*(?:\.\w+)+")


def _opened(override: str) -> str:
    """Any setting of a generator or a model may be given; those its config does not list are checked later."""
    return f"++{override}" if override.startswith(("generator.", "llm.")) else override


def _explain(error: Exception, chosen: Callable[[], DictConfig]) -> str:
    """Hydra's message as one line that says what to do.

    Args:
        error: what Hydra raised.
        chosen: composes what was chosen, without settings of single fields.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, name = error.missing_cfg_file.rpartition("/")
        extra = name.partition("_")[0]
        if group == "hydra/launcher" and extra in ("ray", "submitit"):
            return f"hydra/launcher={name} needs an extra: pip install 'synthward[{extra}]'"
        return f"there is no {group} '{name}'{did_you_mean(name, error.options)}"
    text = " ".join(str(error).split()).partition(" See https://")[0]
    if isinstance(error, OverrideParseException):
        return f"cannot read '{error.override}' ({text}): write key=value, or key=a,b to sweep, and quote brackets"
    unknown = re.match(r"Could not override '([^']+)'", text)
    if unknown is None or unknown[1].startswith("hydra."):
        return text
    return f"there is no option '{unknown[1]}'{_near(unknown[1], chosen())}"


def _near(option: str, config: DictConfig) -> str:
    """The options nearest to an unknown one, else those that stand beside it."""
    plain = to_plain(config)
    known = list(_options(plain))
    group = option.rpartition(".")[0]
    beside = [k for k in known if group and k.rpartition(".")[0] == group]
    return did_you_mean(option, difflib.get_close_matches(option, known, n=2) or beside or plain)


def _options(config: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _options(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"
