"""What happens inside a cell's own process: make the table, or score it.

A stage reads a JSON job, works in a folder that is its own, and leaves its outcome there as files. It
is run by :mod:`.zygote` in a forked process that may be killed at any moment.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..generators import Access, TrainView, missing_requirement
from ..generators.spec import GeneratorSpec
from ..results.errors import StoppedError, UserError
from ..results.reading import PORTRAIT_NAME, RECORD_NAME
from ..results.record import Measurement, Phase, Status, canonical_json
from ..results.store import DISK_FULL, LOG_NAME, TABLE_NAME, file_name, write_atomically
from .dataset import Protocol
from .schema import TableError, TableSchema
from .seeds import derive
from .sources import forget_loaded, load_dataset

if TYPE_CHECKING:
    import pandas as pd

    from ..generators import Generator
    from ..metrics import Evaluation
    from .dataset import Dataset

OUTCOME_NAME = "outcome.json"
PHASE_NAME = "phase"
MEASUREMENTS_NAME = "measurements.jsonl"
RESERVED = (TABLE_NAME, LOG_NAME, OUTCOME_NAME, PHASE_NAME, RECORD_NAME, PORTRAIT_NAME)

GENERATE_PRELOAD = ("pandas", "pyarrow.parquet", "synthward.benchmarks.stages")
EVALUATE_PRELOAD = (
    "synthward.metrics.base",
    "scipy.stats",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.tree",
    "xgboost",
)


class BrokenContractError(Exception):
    """The generator's output is not what the contract asks for; the cell is ``invalid``."""


def generate(job: Mapping[str, Any], folder: Path) -> None:
    """Fit a generator and sample from it; leaves ``outcome.json`` and, if it went well, the table.

    Args:
        job: ``dataset``, ``protocol`` and ``generator`` configurations, ``fingerprint``, ``seed``, ``rows``.
        folder: the cell's work folder.
    """
    progress = _Progress(folder)
    outcome: dict[str, Any] = {}
    baseline = _resident_mb()
    try:
        outcome = _generate(job, folder, progress)
    except StoppedError as error:
        outcome = {"stopped": str(error)}
    except BrokenContractError as error:
        outcome = {"status": Status.INVALID, "message": str(error)}
    except MemoryError as error:
        outcome = {"status": Status.OOM, "message": f"MemoryError: {error}"}
    except Exception as error:
        if progress.phase is Phase.STORE and isinstance(error, OSError) and error.errno in DISK_FULL:
            raise  # says nothing of the generator: the runner stops instead of recording it
        traceback.print_exc()
        outcome = {"status": Status.ERROR, "message": _one_line(error)}
    outcome["phase"] = progress.phase
    outcome["seconds"] = progress.seconds
    outcome["cpu_seconds"] = progress.cpu_seconds
    outcome["peak_memory_mb"] = round(max(0.0, _peak_mb() - baseline), 1)
    write_atomically(folder / OUTCOME_NAME, json.dumps(outcome))


def _generate(job: Mapping[str, Any], folder: Path, progress: _Progress) -> dict[str, Any]:
    with progress(Phase.LOAD):
        spec = GeneratorSpec(**job["generator"])
        absent = missing_requirement(spec.resolve())
        if absent is not None:
            return {"status": Status.UNSUPPORTED, "message": absent}
        generator = spec.build()
        view = _view(job, generator.access)
        reason = generator.supports(view.schema)
        if reason is not None:
            return {"status": Status.UNSUPPORTED, "message": reason}
    with progress(Phase.FIT):
        generator.fit(view, derive(job["seed"], "generator", "fit"))
    with progress(Phase.SAMPLE):
        produced = generator.sample(job["rows"], derive(job["seed"], "generator", "sample"))
    with progress(Phase.CHECK):
        table = checked(produced, view.schema, job["rows"])
        details = view.exposure() | json.loads(canonical_json(generator.details()))
        attachments = _attachments(generator)
    with progress(Phase.STORE):
        write_table(table, folder / TABLE_NAME)
        for name, content in attachments.items():
            (folder / name).write_bytes(content)
    outcome = {"status": Status.OK, "message": "", "details": details, "rows": len(table), "columns": table.shape[1]}
    outcome["attachments"] = list(attachments)
    if len(table) < job["rows"]:
        outcome |= {"status": Status.PARTIAL, "message": f"{len(table)} of {job['rows']} rows"}
    progress.phase = Phase.DONE
    return outcome


def _attachments(generator: Generator) -> dict[str, bytes]:
    """The generator's files.

    Raises:
        BrokenContractError: a name that is a path, or that of a file of the store's own.
    """
    attachments = generator.attachments()
    for name in attachments:
        if name != file_name(name) or name in RESERVED:
            raise BrokenContractError(f"attachments() has a file named '{name}': choose a plain name of its own")
    return attachments


def _view(job: Mapping[str, Any], access: Access) -> TrainView:
    """The generator's view; apart, so that no other table stays within its reach.

    The view is a contract between honest parties, and no sandbox against hostile code.
    """
    dataset = _load(job)
    forget_loaded()
    return TrainView(dataset.schema, dataset.split(Protocol(**job["protocol"])), access, dataset.card)


def checked(produced: Any, schema: TableSchema, rows: int) -> pd.DataFrame:
    """Hold a generator's output against the contract.

    Values are not changed: an implausible value is for the metric ``valid_rows`` to count.

    Returns:
        The canonical table, cut to ``rows`` rows where there are more.

    Raises:
        BrokenContractError: no DataFrame, other columns, text among numbers, an infinite value, a
            missing value in a column that has none, or no row at all.
    """
    import numpy as np
    import pandas as pd

    if not isinstance(produced, pd.DataFrame):
        raise BrokenContractError(f"sample() returned {type(produced).__name__}, not a DataFrame")
    try:
        table = schema.canonical(produced)
    except TableError as error:
        raise BrokenContractError(str(error)) from None
    except TypeError as error:  # values that are no scalars, such as lists
        raise BrokenContractError(f"the table holds values that cannot be read: {error}") from None
    if table.empty:
        raise BrokenContractError("sample() returned no rows")
    for column in schema.columns:
        values = table[column.name]
        missing = int(values.isna().sum())
        if missing and not column.missing:
            raise BrokenContractError(
                f"column '{column.name}' has {missing} missing values, but the card allows none there"
            )
        if column.numeric and np.isinf(values.to_numpy(dtype=float)).any():
            raise BrokenContractError(f"column '{column.name}' has infinite values")
    return table.head(rows)


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a canonical table as Parquet, the same bytes for the same values."""
    table.to_parquet(path, engine="pyarrow", compression="zstd", index=False)


def read_table(path: Path, schema: TableSchema) -> pd.DataFrame:
    """Read a table that :func:`write_table` wrote."""
    import pandas as pd

    return schema.canonical(pd.read_parquet(path, engine="pyarrow"))


def evaluate(job: Mapping[str, Any], folder: Path) -> None:
    """Apply metrics one after the other, appending each result to ``measurements.jsonl`` at once; then the portrait.

    What was measured before a kill is therefore kept. Where the sweep is to stop, or the table could not be portrayed,
    ``outcome.json`` says so.

    Args:
        job: as for :func:`generate`, and ``table`` (path), ``metrics`` (names), ``portrait`` (whether to make it),
            ``costs``, ``usage`` (of a language model, or nothing), ``shown`` (train rows that stood in a prompt) and
            ``references`` (folder).
        folder: the cell's work folder.
    """
    from ..metrics import get

    evaluation = _evaluation(job)
    with (folder / MEASUREMENTS_NAME).open("a", encoding="utf-8") as file:
        for name in job["metrics"]:
            (folder / PHASE_NAME).write_text(name)
            try:
                measured = get(name).measure(evaluation)
            except StoppedError as error:
                write_atomically(folder / OUTCOME_NAME, json.dumps({"stopped": str(error)}))
                return
            file.write(json.dumps([m.model_dump(mode="json") for m in measured]) + "\n")
            file.flush()
    if job["portrait"]:
        (folder / PHASE_NAME).write_text("portrait")
        _portray(job, evaluation, folder)


def _portray(job: Mapping[str, Any], evaluation: Evaluation, folder: Path) -> None:
    """Leave the portrait, or say in ``outcome.json`` why there is none: it must not cost the cell its record."""
    from ..metrics.portrait import portray

    try:
        if _load(job).card.sharing != "public":  # the record may be of a time when it was
            raise UserError("the table is not public")
        text = portray(evaluation).to_json()
    except Exception as error:
        traceback.print_exc()
        write_atomically(folder / OUTCOME_NAME, json.dumps({"unportrayed": _one_line(error)}))
    else:
        write_atomically(folder / PORTRAIT_NAME, text)


def read_measurements(folder: Path) -> list[list[Measurement]]:
    """The measurements a stage left, one list a metric; a line cut off by a kill is left out."""
    path = folder / MEASUREMENTS_NAME
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [[Measurement(**m) for m in json.loads(line)] for line in lines]


STAGES: dict[str, Callable[[Mapping[str, Any], Path], None]] = {"generate": generate, "evaluate": evaluate}


def _evaluation(job: Mapping[str, Any]) -> Evaluation:
    from ..metrics import Costs, Evaluation
    from ..metrics.base import ModelUsage
    from ..metrics.utility.references import References

    dataset = _load(job)
    protocol = Protocol(**job["protocol"])
    split = dataset.split(protocol)
    model = GeneratorSpec(**job["generator"]).build().language_model() if dataset.card.sharing == "public" else None
    return Evaluation(
        schema=dataset.schema,
        train=split.train,
        control=split.control,
        test=split.test,
        synthetic=read_table(Path(job["table"]), dataset.schema),
        seed=derive(job["seed"], "evaluation"),
        costs=Costs(**job["costs"], usage=ModelUsage(**job["usage"]) if job["usage"] else None),
        shown=tuple(job["shown"]),
        model=model,
        source=dataset.table if model is not None else None,
        references=References(
            Path(job["references"]),
            {
                "dataset": job["fingerprint"],
                "protocol": protocol.model_dump(mode="json", exclude={"name", "ratio"}),
                "seed": job["seed"],
            },
        ),
    )


def _load(job: Mapping[str, Any]) -> Dataset:
    dataset = load_dataset(job["dataset"])
    if dataset.fingerprint != job["fingerprint"]:
        raise BrokenContractError("the dataset changed while the sweep was running: start the sweep again")
    return dataset


class _Progress:
    """Times the phases, and leaves the present one on disk for whoever finds the process dead."""

    def __init__(self, folder: Path) -> None:
        self.phase = Phase.LOAD
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._path = folder / PHASE_NAME

    @contextmanager
    def __call__(self, phase: Phase) -> Iterator[None]:
        self.phase = phase
        self._path.write_text(phase)
        start, cpu_start = time.perf_counter(), _cpu_seconds()
        try:
            yield
        finally:
            self.seconds[phase.value] = round(time.perf_counter() - start, 4)
            self.cpu_seconds[phase.value] = round(_cpu_seconds() - cpu_start, 4)


def _cpu_seconds() -> float:
    """Processor time of this process and of the children it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, UserError):
        return text[:500]
    return f"{type(error).__name__}: {text}"[:500] if text else type(error).__name__


def _resident_mb() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss) / 2**20


def _peak_mb() -> float:
    """Highest resident memory of this process since it was forked."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
