"""What the command line prints of sweeps, stores, configs and checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..generators.estimate import Estimate
from ..generators.spec import GeneratorSpec
from ..leaderboard.naming import plain
from ..results.errors import UserError
from ..results.record import USABLE, MetricCard, Record, indented_json
from ..results.store import Store
from .catalogue import GROUPS, configs
from .explain import facts
from .plans import Forecast, SweepReport, read_plans
from .progress import duration
from .recompute import Recomputed
from .validate import Finding, Validation


def print_report(report: SweepReport) -> None:
    """Say how a sweep ended, failures with their messages."""
    console = Console()
    counts = ", ".join(f"{n} {status}" for status, n in sorted(report.counts().items()))
    before = f", {report.before} of them done before" if report.before else ""
    cells = "1 cell" if report.total == 1 else f"{report.total} cells"
    console.print(f"{cells}{before}: {counts}; {duration(report.seconds)}", highlight=False)
    _print_failures(console, report.records)
    for line in report.failures:
        console.print(f"  no record: {line}", markup=False, highlight=False, soft_wrap=True)
    if any(r.status not in USABLE for r in report.records):
        console.print("Failures are results and are kept; retry=failed runs them again.", highlight=False)


@contextmanager
def steps(what: str, total: int | None = None) -> Iterator[Callable[[object], None]]:
    """Show how many steps of some work are done, on a terminal; yields what to call after each."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda _: bar.advance(task)


def print_validation(found: Validation, recomputed: Sequence[Recomputed] = ()) -> None:
    """Print what was found of records: a line for every fault, then notes, then a table."""
    console = Console()

    def say(kind: str, line: str) -> None:
        console.print(f"{kind}: {line}", markup=False, highlight=False, soft_wrap=True)

    for finding in found.faults:
        say("fault", finding.line)
    for finding in found.notes:
        say("note", finding.line)
    for coverage in found.coverage:
        say("note", coverage.line)
    outcomes = Counter(r.outcome for r in recomputed)
    for r in recomputed:
        if r.outcome != "agrees" or r.reason:
            say("fault" if r.outcome == "disagrees" else "note", Finding(r.file, f"{r.outcome}: {r.reason}").line)
    table = _table("protocol", "generators", "datasets", "cells", "faults")
    for column in table.columns[1:]:
        column.justify = "right"
    wrong = Counter(finding.file for finding in found.faults)
    protocols = sorted({record.protocol for record in found.records.values()})
    for protocol in protocols:
        of = {file: record for file, record in found.records.items() if record.protocol == protocol}
        generators = len({record.generator.name for record in of.values()})
        datasets = len({record.dataset.name for record in of.values()})
        faults = sum(wrong[file] for file in of)
        table.add_row(escape(plain(protocol, 40)), *map(str, (generators, datasets, len(of), faults)))
    elsewhere = sum(count for file, count in wrong.items() if file not in found.records)
    if elsewhere:
        table.add_row("(other files)", "", "", "", str(elsewhere))
    console.print(table)
    counts = [f"{n} {outcome}" for outcome, n in sorted(outcomes.items())]
    faults = len(found.faults) + outcomes["disagrees"]
    said = f"recomputed: {', '.join(counts)}; " if counts else ""
    console.print(
        f"{len(found.records)} records; {said}{'1 fault' if faults == 1 else f'{faults} faults'}", highlight=False
    )


def validation_json(found: Validation, recomputed: Sequence[Recomputed] = ()) -> str:
    """What was found of records, for programs."""
    return indented_json(
        {
            "records": len(found.records),
            "faults": [asdict(finding) for finding in found.faults],
            "notes": [asdict(finding) for finding in found.notes],
            "coverage": [asdict(coverage) for coverage in found.coverage],
            "recomputed": [
                {"file": r.file, "id": r.record.id, "outcome": r.outcome, "reason": r.reason} for r in recomputed
            ],
        }
    )


def print_forecasts(forecasts: Sequence[Forecast]) -> None:
    """Print what is left of a sweep, and what its language models should cost."""
    console = Console()
    done = sum(f.done for f in forecasts)
    groups: dict[tuple[str, str], list[Forecast]] = {}
    for forecast in forecasts:
        if forecast.estimate is not None:
            groups.setdefault((forecast.generator, forecast.dataset), []).append(forecast)
    asking = sum(map(len, groups.values()))
    questions = [(f.dataset, f.questions) for f in forecasts if f.questions is not None]
    cells = "1 cell" if len(forecasts) == 1 else f"{len(forecasts)} cells"
    console.print(
        f"{cells}: {done} done, {len(forecasts) - done} left, {asking} of them ask a language model", highlight=False
    )
    if not groups and not questions:
        return
    table = _table("generator", "dataset", "cells", "rows", "calls", "read", "written", "USD", "time")
    for column in table.columns[2:]:
        column.justify = "right"
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    total = Estimate(0, 0, 0, 0.0, 0.0)
    for (generator, dataset), parts in sorted(groups.items()):
        cost = sum((f.estimate for f in parts if f.estimate is not None), Estimate(0, 0, 0, 0.0, 0.0))
        total += cost
        rows = sum(f.rows for f in parts)
        table.add_row(escape(generator), escape(dataset), str(len(parts)), f"{rows:,}", *_costs(cost))
    for dataset, cost in sorted(questions, key=lambda pair: pair[0]):
        total += cost
        table.add_row("(metrics)", escape(dataset), "", "", *_costs(cost))
    table.add_row("total", "", str(asking), "", *_costs(total), style="bold")
    console.print(table)
    console.print(
        "Read and written: tokens of prompts and of replies, if every reply were valid. What is cached costs nothing "
        "again. Time: of the model alone."
        + " (metrics): what they ask a model about a table, once for all its cells."
        * bool(questions),
        highlight=False,
    )


def _costs(estimate: Estimate) -> tuple[str, ...]:
    tokens = (estimate.calls, estimate.prompt_tokens, estimate.completion_tokens)
    usd = "unknown" if estimate.cost_usd is None else f"{estimate.cost_usd:,.2f}"
    return (*(f"{n:,}" for n in tokens), usd, "unknown" if estimate.seconds is None else duration(estimate.seconds))


def print_status(store: Store) -> int:
    """Show each sweep of a store: cells done, failed, running and left.

    Returns:
        0 if nothing is left of any sweep, else 1.

    Raises:
        UserError: the store has no sweep.
    """
    plans = read_plans(store)
    if not plans:
        raise UserError(f"no sweep was started in {store.root}: run `synthward sweep`, or name another --store")
    console = Console()
    nothing_left = True
    for plan in plans:
        console.print("synthward sweep", *plan.overrides, style="bold", highlight=False, markup=False, soft_wrap=True)
        counts: Counter[str] = Counter()
        records: list[Record] = []
        for cell in plan.cells:
            record = store.get(cell.id)
            if record is not None and cell.done(record):
                counts[record.status.value] += 1
                records.append(record)
            else:
                counts["running" if store.running(cell.id) else "left"] += 1
        done, total = len(records), len(plan.cells)
        nothing_left &= done == total
        shares = ", ".join(f"{n} {status}" for status, n in sorted(counts.items()))
        console.print(f"  {done} of {total} cells done: {shares}", highlight=False)
        _print_failures(console, records)
    damaged = store.quarantined()
    if damaged:
        console.print(
            f"{len(damaged)} damaged cells were set aside in {store.root / 'quarantine'} and count as not done",
            highlight=False,
        )
    return 0 if nothing_left else 1


def print_listing(what: str) -> None:
    """Print a table of the datasets, generators, metrics or experiments."""
    console = Console()
    if what == "metrics":
        from ..metrics import registry

        table = _table("metric", "family", "better", "definition")
        for name, metric in sorted(registry().items(), key=lambda item: (item[1].card.family, item[0])):
            table.add_row(name, metric.card.family, metric.card.arrow, escape(metric.card.definition))
        console.print(table)
        console.print("`synthward explain METRIC` says more.", highlight=False)
        return
    readable, unreadable = configs(GROUPS[what])
    if what == "generators":
        table = _table("generator", "may see", "class", "settings")
        for name, config in readable.items():
            try:
                spec = GeneratorSpec.parse(config)
                access = spec.build().access.value
            except UserError as error:
                unreadable[name] = str(error)
                continue
            settings = " ".join(f"{k}={v}" for k, v in spec.params.items())
            table.add_row(name, access, spec.target, escape(settings))
    elif what == "datasets":
        table = _table("dataset", "title", "domain", "task", "target", "sharing")
        for name, config in readable.items():
            fields = ("title", "domain", "task", "target", "sharing")
            table.add_row(name, *(escape(str(config.get(field) or "")) for field in fields))
    else:
        table = _table("experiment", "sweeps")
        for name, config in readable.items():
            params = config.get("hydra", {}).get("sweeper", {}).get("params", {})
            table.add_row(name, "  ".join(escape(f"{k}={v}") for k, v in params.items()))
    console.print(table)
    for name, reason in unreadable.items():
        console.print(f"{name} cannot be used: {reason}", markup=False, highlight=False, soft_wrap=True)


def print_cards(cards: Sequence[MetricCard]) -> None:
    """Print what metrics mean."""
    console = Console()
    for number, card in enumerate(cards):
        table = _table("", "")
        table.show_header = False
        for name, text in facts(card).items():
            table.add_row(f"  {name}", escape(text), style="dim" if name in ("suites", "version") else "")
        console.print("\n" * bool(number) + f"[bold]{escape(card.name)}[/] {card.arrow}", highlight=False)
        console.print(table)


def print_verdicts(target: str, params: Sequence[str]) -> int:
    """Run the contract suite over a generator and print its verdicts.

    Args:
        target: dotted path of the class.
        params: ``key=value`` arguments of its ``__init__``.

    Returns:
        0 if every check passed, else 1.
    """
    from ..generators.checks import check_generator, specimen

    wrong = [p for p in params if "=" not in p]
    if wrong:
        raise UserError(f"'{wrong[0]}' is no key=value")
    try:
        config = {key: yaml.safe_load(value) for key, _, value in (p.partition("=") for p in params)}
    except yaml.YAMLError as error:
        raise UserError(f"a value is no valid YAML: {' '.join(str(error).split())}") from None
    spec = GeneratorSpec.parse({"_target_": target, **config})
    spec.build()
    schema, split = specimen()
    console = Console()
    failed = 0
    for verdict in check_generator(spec.build, schema, split):
        failed += not verdict.passed
        mark = "[green]ok  [/]" if verdict.passed else "[red]FAIL[/]"
        console.print(mark, verdict.name, highlight=False, markup=True)
        if verdict.message:
            console.print(f"     {verdict.message}", highlight=False, markup=False, soft_wrap=True)
    checks = "1 check" if failed == 1 else f"{failed} checks"
    console.print(f"{checks} failed" if failed else f"{target} keeps the contract", highlight=False, markup=False)
    return 1 if failed else 0


def _print_failures(console: Console, records: Sequence[Record]) -> None:
    counts = Counter(
        (r.status.value, r.generator.name, r.dataset.name, r.message) for r in records if r.status not in USABLE
    )
    for (status, generator, dataset, message), n in sorted(counts.items()):
        times = f" ({n} times)" if n > 1 else ""
        line = f"  {status}: {generator} on {dataset}{times}: {message}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
