"""From a composed Hydra configuration to a finished sweep: expand, plan, launch what is missing.

Expansion is Hydra's own, and so is the launcher; between them every cell is planned, so that mistakes
are found before anything runs and a launcher gets only the jobs that have work left.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from ..generators import TrainView
from ..generators.estimate import Estimate
from ..generators.spec import named_paths
from ..metrics import Evaluation, get
from ..results.errors import UserError
from ..results.store import Store
from .catalogue import metrics_of
from .cell import Cell, parse_limits, plan_cell
from .pending import Measure, is_complete, unmeasured, wants_table
from .plans import Forecast, Plan, PlannedCell, SweepReport, basis, write_plan
from .progress import progress
from .runner import measure_of


def run_sweep(config: DictConfig, context: HydraContext, task: TaskFunction, overrides: Sequence[str]) -> SweepReport:
    """Run the sweep that a configuration and its sweep overrides describe.

    Args:
        config: composed for Hydra's multirun mode.
        context: Hydra's config loader and callbacks.
        task: what a launcher calls with each job's configuration.
        overrides: the command line, under which the plan is left in the store.

    Raises:
        UserError: a cell cannot be planned; nothing has been run then.
    """
    start = time.monotonic()
    store = Store(Path(str(config.store)).absolute())
    if config.retry not in ("none", "failed", "all"):
        raise UserError(f"retry={config.retry} is not known: choose none, failed or all")
    planned = _plan(_expand(config, context), config, context, store)
    if not planned:
        raise UserError("the sweep has no cell: one of its axes is empty")
    store.clear_work()
    cells = [p.facts for p in planned]
    todo = [
        p for p in planned if not is_complete(store.get(p.facts.id), p.facts.measures, p.facts.limits, config.retry)
    ]
    # Large tables first: what takes longest must not be what one worker is left with at the end.
    todo.sort(key=lambda p: -p.size)
    before = len(planned) - len(todo)
    files = sorted(frozenset().union(*(p.files for p in planned)))
    ground = basis(overrides, files) if all(p.ours for p in planned) else None
    write_plan(Plan(overrides=tuple(overrides), files=tuple(files), basis=ground, cells=tuple(cells)), store)
    failures: list[str] = []
    if todo:
        with progress([p.facts for p in todo], before, store, Console(stderr=True)):
            failures = _launch(todo, config, context, task)
    found = (store.get(cell.id) for cell in cells)
    records = tuple(record for record in found if record is not None)
    return SweepReport(len(planned), before, time.monotonic() - start, records, tuple(failures))


def forecast_sweep(config: DictConfig, context: HydraContext) -> list[Forecast]:
    """What is left of a sweep, and what the language models behind it should cost; asks nobody, and runs nothing.

    Raises:
        UserError: a cell cannot be planned.
    """
    store = Store(Path(str(config.store)).absolute())
    found = []
    asked: set[tuple[str, str]] = set()
    for planned in _plan(_expand(config, context), config, context, store):
        cell, facts = planned.cell, planned.facts
        made = store.get(facts.id)
        done = is_complete(made, facts.measures, facts.limits, config.retry)
        estimate, lacking = None, list(facts.measures)
        if made is not None and not wants_table(made, facts.limits, config.retry):
            lacking = unmeasured(made, facts.measures, facts.limits, config.retry)
        else:
            generator = cell.generator.build()
            view = TrainView(
                cell.dataset.schema, cell.dataset.split(cell.protocol), generator.access, cell.dataset.card
            )
            estimate = generator.estimate(view, cell.rows)
        questions = None if done else _questions(planned, lacking, asked)
        found.append(Forecast(cell.dataset.card.name, cell.generator.name, done, cell.rows, estimate, questions))
    return found


def _questions(planned: _Planned, lacking: Sequence[Measure], asked: set[tuple[str, str]]) -> Estimate | None:
    """What the lacking metrics should cost that ask a language model about a table, unless it was asked before."""
    dataset = planned.cell.dataset
    metrics = [get(name) for name in planned.metrics if measure_of(name) in lacking]
    metrics = [metric for metric in metrics if "language model" in metric.card.needs]
    model = planned.cell.generator.build().language_model() if metrics and dataset.card.sharing == "public" else None
    if model is None or not hasattr(model, "rehearse"):  # one of somebody's own need not
        return None
    rehearsal = model.rehearse()
    if (pair := (dataset.fingerprint, rehearsal.identity)) in asked:
        return None
    asked.add(pair)
    rows = dataset.table.head(0)
    for metric in metrics:
        metric.measure(Evaluation(dataset.schema, rows, rows, rows, rows, model=rehearsal, source=dataset.table))
    estimate: Estimate = rehearsal.estimate
    return estimate


def to_plain(config: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain containers, interpolations resolved and Hydra's own part left out."""
    plain: dict[str, Any] = {}
    for key in config:
        if key != "hydra":
            node = config[key]
            plain[str(key)] = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return plain


@dataclass(frozen=True)
class _Planned:
    """One cell of a sweep, what the store is told of it, and the overrides of the job that runs it.

    Attributes:
        facts: the cell as it stands in the plan.
        files: files and folders of the user that the cell depends on.
        ours: whether all code and data that make the cell are this package's.
        metrics: names of the metrics asked for.
        overrides: of the job.
        cell: the cell itself.
    """

    facts: PlannedCell
    files: frozenset[str]
    ours: bool
    metrics: tuple[str, ...]
    overrides: tuple[str, ...]
    cell: Cell

    @property
    def size(self) -> int:
        """Values in the synthetic table, the measure of how long the cell may take."""
        return self.cell.rows * len(self.cell.dataset.schema.columns)


def _expand(config: DictConfig, context: HydraContext) -> list[list[str]]:
    """All jobs of the grid, as lists of overrides, in Hydra's order."""
    # Imported late: Hydra loads its plugin modules anew when it first looks for plugins.
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    # Unresolved: `split_seed=${seed}` on the command line is for each job to resolve.
    params = OmegaConf.to_container(config.hydra.sweeper.params or OmegaConf.create({}), resolve=False)
    task = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    assert isinstance(params, dict)
    assert isinstance(task, list)
    arguments = [*(f"{key!s}={value!s}" for key, value in params.items()), *map(str, task)]
    overrides = OverridesParser.create(config_loader=context.config_loader).parse_overrides(arguments)
    jobs: list[list[str]] = BasicSweeper.split_arguments(overrides, None)[0]
    return jobs


def _plan(jobs: Sequence[list[str]], config: DictConfig, context: HydraContext, store: Store) -> list[_Planned]:
    """Plan all jobs; two that lead to the same cell become one that measures what both ask for."""
    planned: dict[str, _Planned] = {}
    metrics: dict[str, tuple[str, ...]] = {}
    composer = _Composer(config, context)
    for overrides in jobs:
        plain = composer.compose(overrides)
        plain["generator"]["name"] = _display_name(plain["generator"], overrides)
        cell = plan_cell(plain)
        names = (*metrics.get(cell.id, ()), *_metric_names(plain["metrics"]))
        metrics[cell.id] = names = tuple(dict.fromkeys(names))
        facts = PlannedCell(
            id=cell.id,
            label=cell.label,
            measures=tuple(map(measure_of, names)),
            limits=parse_limits(plain["limits"]).model_dump(),
        )
        source = cell.config.get("source") or {}
        files = map(str, [*named_paths(source), *named_paths({"card": cell.config.get("card")})])
        ours = str(source.get("_target_")).startswith("synthward.") and cell.generator.target.startswith("synthward.")
        ours &= not named_paths(cell.generator.params) and not any("." in name for name in names)
        named = f"generator.name={_quoted(plain['generator']['name'])}"
        asked = f"metrics.names=[{','.join(map(_quoted, names))}]"
        job = (*overrides, named, asked, f"store={_quoted(str(store.root))}")
        planned[cell.id] = _Planned(facts, frozenset(files), ours, names, job, cell)
    return list(planned.values())


def _metric_names(config: Any) -> list[str]:
    """The metrics that a ``metrics`` group asks for.

    Raises:
        UserError: they are no list of names.
    """
    names = config.get("names") if isinstance(config, dict) else None
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError("metrics.names takes a list of metrics, such as metrics.names=[ks_complement,tstr_f1]")
    return metrics_of(names)


class _Composer:
    """Composes the jobs of one sweep, sharing the work between jobs that choose the same config files.

    Composition takes Hydra some 0.1 s a job, and a sweep that is run again does little else. Jobs that
    differ in plain values only, such as the seed, are one composition with those values set anew.
    """

    def __init__(self, config: DictConfig, context: HydraContext) -> None:
        self._config = config
        self._loader = context.config_loader
        self._parser = OverridesParser.create(config_loader=context.config_loader)
        self._composed: dict[tuple[str, ...], bytes] = {}

    def compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The plain configuration of one job."""
        files, values = self._divide(overrides)
        if files not in self._composed:
            composed = self._loader.load_sweep_config(self._config, list(files))
            with open_dict(composed):
                del composed["hydra"]
            self._composed[files] = pickle.dumps(composed)
        job: DictConfig = pickle.loads(self._composed[files])
        for override in values:
            OmegaConf.update(job, override.key_or_group, override.value())
        return to_plain(job)

    def _divide(self, overrides: Sequence[str]) -> tuple[tuple[str, ...], list[Override]]:
        """Tell what needs a composition of its own from values of fields that every composition has."""
        files, values = [], []
        for text, override in zip(overrides, self._parser.parse_overrides(list(overrides)), strict=True):
            plain = override.type is OverrideType.CHANGE and override.package is None
            known = OmegaConf.select(self._config, override.key_or_group) is not None
            if plain and known and not OmegaConf.is_config(OmegaConf.select(self._config, override.key_or_group)):
                values.append(override)
            else:
                files.append(text)
        return tuple(files), values


def _launch(todo: Sequence[_Planned], config: DictConfig, context: HydraContext, task: TaskFunction) -> list[str]:
    """Hand the jobs to the launcher; returns one line for each job that ended without a record."""
    launcher = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
    results = launcher.launch([list(p.overrides) for p in todo], initial_job_idx=0)
    failures = []
    for p, result in zip(todo, results, strict=True):
        if result.status is JobStatus.FAILED:
            error: Any = result._return_value
            text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            failures.append(f"{p.facts.label}: {text}")
    return failures


def _display_name(generator: dict[str, Any], overrides: Sequence[str]) -> str:
    """The configured name, and the settings that were changed on the command line: ``ctgan[epochs=100]``."""
    name = str(generator.get("name") or str(generator.get("_target_", "")).rpartition(".")[2])
    changed = [o.lstrip("+").removeprefix("generator.") for o in overrides if o.lstrip("+").startswith("generator.")]
    changed = [c for c in changed if not c.startswith(("name=", "_target_="))]
    changed = [f"path={Path(c).name}".rstrip("'") if c.startswith("path=") else c for c in changed]
    return f"{name}[{','.join(changed)}]" if changed else name


def _quoted(text: str) -> str:
    """A string in the quotes of Hydra's grammar."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
