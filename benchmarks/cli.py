"""The ``synthward`` command. Each subcommand imports what it needs when it is called."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..results.errors import UserError

if TYPE_CHECKING:
    from ..leaderboard.board import Board

DEFAULT_STORE = "results/runs"
PUBLISHED = Path("results/records")
MOST_SAID = 20
EXPORT_FORMATS = ("markdown", "latex", "csv", "json", "parquet")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        Exit status: 0 all is well; 1 something was found wanting (a failed check, a cell without a
        record, a record that cannot be shown); 2 the user can put it right, as the one line on standard
        error says; 130 interrupted.
    """
    _make_current_folder_importable()
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except UserError as error:
        print(f"synthward: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("synthward: interrupted; what is recorded is safe, the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:  # a reader such as `head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit would raise again
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        print(f"synthward: cannot use {error.filename} ({error.strerror}): choose another path", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="synthward", description="Benchmark generators of synthetic clinical tables, and publish the results."
    )
    parser.add_argument("--version", action="version", version=f"synthward {version('synthward')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        added.set_defaults(command=command)
        return added

    def add_store(to: argparse.ArgumentParser) -> None:
        default = os.environ.get("SYNTHWARD_STORE", DEFAULT_STORE)
        to.add_argument("--store", type=Path, default=Path(default), help="folder of the records (%(default)s)")

    sweep = add("sweep", _sweep, "run every cell of a grid that has not been run yet")
    sweep.epilog = "example: synthward sweep generator=ctgan,tvae dataset=pbc,rhc 'seed=range(0,5)'"
    sweep.add_argument("overrides", nargs="*", help="Hydra overrides: group=choice, group.key=value, lists with commas")

    plan = add("plan", _plan, "say what a sweep has left to do and what it should cost, and run nothing")
    plan.add_argument("overrides", nargs="*", help="those of the sweep")

    status = add("status", _status, "show how the sweeps of a store stand: done, failed and why, left")
    add_store(status)

    board = add("leaderboard", _leaderboard, "build the board from records, and print its summary or show it")
    board.add_argument("action", nargs="?", choices=["build", "serve"], default="build", help="(%(default)s)")
    add_store(board)
    board.add_argument("--records", type=Path, action="append", help="another folder of records; may be given again")
    board.add_argument("--out", type=Path, default=Path("leaderboard/site"), help="where to write it (%(default)s)")
    board.add_argument("--port", type=_natural, default=8000, help="of serve, on this machine alone (%(default)s)")

    exporting = add("export", _export, "print one of the board's tables, for a paper or for another program")
    exporting.epilog = "example: synthward export --view fidelity --format latex --records results/records"
    add_store(exporting)
    exporting.add_argument(
        "--records", type=Path, action="append", help="another folder of records; may be given again"
    )
    exporting.add_argument(
        "--view", default="scores", help="scores, a family, ranks-FAMILY or dataset-NAME (%(default)s)"
    )
    exporting.add_argument("--protocol", default="", metavar="NAME", help="of these cells alone")
    exporting.add_argument("--format", choices=EXPORT_FORMATS, default="markdown", help="(%(default)s)")
    exporting.add_argument("--out", type=Path, help="file to write; standard output if not given")

    publish = add("publish", _publish, "check the records of a store, and copy them to a folder that git keeps")
    publish.epilog = "Tables stay where they are. If anything is wrong with a record, nothing is copied."
    add_store(publish)
    publish.add_argument("--to", type=Path, default=PUBLISHED, help="(%(default)s)")
    publish.add_argument(
        "--generator", action="append", default=[], metavar="NAME", help="of this one; may be repeated"
    )
    publish.add_argument("--protocol", action="append", default=[], metavar="NAME", help="of this one; may be repeated")

    validate = add("validate", _validate, "check published records, your own or those that somebody sent")
    validate.epilog = "A record is data from outside: --recompute says whether its numbers come out again."
    validate.add_argument("path", nargs="?", type=Path, default=PUBLISHED, help="folder of records (%(default)s)")
    validate.add_argument(
        "--recompute", type=_number_or_all, default=0, metavar="N", help="measure N records again, or all (%(default)s)"
    )
    validate.add_argument("--seed", type=_natural, default=0, help="of the draw of these (%(default)s)")
    validate.add_argument(
        "--since",
        type=Path,
        metavar="FOLDER",
        help="the same folder as it was: draw from what is new, say what changed",
    )
    validate.add_argument(
        "--tables", type=Path, metavar="STORE", help="store that has their tables; else they are made again"
    )
    validate.add_argument(
        "--mark", action="store_true", help="list those that agree in verified.json beside the records"
    )
    validate.add_argument("--format", choices=["text", "json"], default="text", help="(%(default)s)")

    scoring = add("score", _score, "score a synthetic table that you have, beside the real ones")
    scoring.epilog = (
        "example: synthward score --real train.csv --control control.csv --synthetic synthetic.csv --target died"
    )
    table: dict[str, Any] = {"type": Path, "metavar": "FILE"}
    scoring.add_argument("--real", required=True, help="rows that the generator learned from: CSV or Parquet", **table)
    scoring.add_argument("--synthetic", required=True, help="rows that it made", **table)
    scoring.add_argument("--control", help="real rows that it never saw, best as many as it saw", **table)
    scoring.add_argument("--test", help="others that it never saw, to test on; --control serves if not given", **table)
    scoring.add_argument("--target", metavar="COLUMN", help="the column to predict")
    scoring.add_argument("--card", help="schema card (YAML); inferred from --real if not given", **table)
    scoring.add_argument("--metrics", default="default", help="suites or metrics, with commas (%(default)s)")
    scoring.add_argument("--seed", type=_natural, default=0, help="of learners and draws (%(default)s)")
    scoring.add_argument("--sep", default=",", help="between the columns of a CSV file (%(default)s)")
    scoring.add_argument("--encoding", default="utf-8", help="of a CSV file (%(default)s)")
    scoring.add_argument("--decimal", default=".", help="sign in the numbers of a CSV file (%(default)s)")
    scoring.add_argument("--json", help="write all values to this file, - for standard output", **table)
    scoring.add_argument("--html", help="write a page to this file", **table)

    listing = add("list", _list, "list the datasets, generators, metrics or experiments")
    listing.add_argument("what", choices=["datasets", "generators", "metrics", "experiments"])

    explain = add("explain", _explain, "say what a metric means: direction, bounds, definition, source")
    explain.add_argument("metrics", nargs="*", metavar="METRIC", help="all of them if none is named")
    explain.add_argument("--markdown", action="store_true", help="as a Markdown document")

    describe = add("describe", _describe, "write a first schema card for a table of your own")
    describe.add_argument("path", type=Path, help="CSV or Parquet")
    describe.add_argument("--target", help="the column to predict")
    describe.add_argument("--out", type=Path, help="where to write the card; standard output if not given")

    check = add("check", _check, "hold a generator of your own against the contract")
    check.add_argument("target", help="dotted path of the class, my_pkg.MyGenerator")
    check.add_argument("params", nargs="*", metavar="key=value", help="arguments of its __init__, as YAML values")

    add("doctor", _doctor, "say what is installed, and which generators and datasets are usable")
    return parser


def _sweep(options: argparse.Namespace) -> int:
    from ..results.store import Store
    from .plans import finished
    from .report import print_report

    overrides = [_absolute(o) for o in options.overrides]
    named = [o.partition("=")[2].strip("'") for o in overrides if o.startswith("store=")]
    store = Store(Path(named[-1] if named else os.environ.get("SYNTHWARD_STORE", DEFAULT_STORE)).absolute())
    report = finished(overrides, store)
    if report is None:
        from .app import sweep

        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop is a Ctrl-C
        report = sweep(overrides)
    print_report(report)
    return 1 if report.failures or len(report.records) < report.total else 0


def _plan(options: argparse.Namespace) -> int:
    from .app import plan
    from .report import print_forecasts

    print_forecasts(plan([_absolute(o) for o in options.overrides]))
    return 0


def _status(options: argparse.Namespace) -> int:
    from ..results.store import Store
    from .report import print_status

    return print_status(Store(options.store))


def _leaderboard(options: argparse.Namespace) -> int:
    from rich.console import Console

    from ..leaderboard.build import write
    from ..leaderboard.serve import LOOPBACK, server
    from ..leaderboard.terminal import terminal_summary

    board, damaged = _board(options)
    page = write(board, options.out)
    if options.action == "serve":
        _say_left_out(damaged)
        with server(options.out, options.port) as serving:
            print(f"the board is at http://{LOOPBACK}:{serving.server_port}/ until you press Ctrl-C")
            sys.stdout.flush()
            try:
                serving.serve_forever()
            except KeyboardInterrupt:
                return 0
    Console().print(terminal_summary(board))
    _say_left_out(damaged)
    print(f"board: {page.resolve()}")
    return 1 if damaged else 0


def _export(options: argparse.Namespace) -> int:
    from ..leaderboard.export import export
    from ..results.store import write_atomically

    if options.format == "parquet" and options.out is None:
        raise UserError("parquet is no text: name a file with --out")
    if options.out is not None:
        _refuse_to_write([options.out], [])
    board, damaged = _board(options)
    content = export(board, options.view, options.format, options.protocol)
    if options.out is None:
        print(content.decode(), end="")
    else:
        write_atomically(options.out, content)
        print(f"written: {options.out}", file=sys.stderr)
    _say_left_out(damaged)
    return 1 if damaged else 0


def _board(options: argparse.Namespace) -> tuple[Board, list[UserError]]:
    """The board of the records that were named, and what is wrong with those that cannot be read.

    Raises:
        UserError: there is no such folder, or no record that can be shown.
    """
    from ..leaderboard.aggregate import summarise_folders

    folders = options.records or [options.store]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}: run `synthward sweep` first, or name one with --records")
    damaged: list[UserError] = []
    return summarise_folders(folders, damaged.append), damaged


def _publish(options: argparse.Namespace) -> int:
    from ..results.published import publish
    from ..results.store import Store
    from .report import print_validation, steps
    from .validate import validate_store

    store = Store(options.store)
    with steps("checking") as step:
        found = validate_store(store, options.generator, options.protocol, options.to, step)
    if not found.records and not found.faults:
        raise UserError(f"there is no record in {options.store}: run `synthward sweep` first, or name another --store")
    print_validation(found)
    if found.faults:
        print("nothing was published: put this right and run the same command again", file=sys.stderr)
        return 1
    with steps("copying", len(found.records)) as step:
        replaced = publish(store, found.records.values(), options.to, step)
    before = f", {replaced} of them in the place of earlier ones" if replaced else ""
    print(f"{len(found.records)} records in {options.to}{before}")
    return 0


def _validate(options: argparse.Namespace) -> int:
    from ..results.store import Store
    from ..results.verified import read_marks, read_verified, write_marks
    from .recompute import Recomputation, Recomputed, drawn
    from .report import print_validation, steps, validation_json
    from .validate import changed_since, validate_published

    if options.mark and options.recompute == 0:
        raise UserError("--mark lists records that were recomputed: add --recompute N, or --recompute all")
    if options.tables is not None and not options.tables.is_dir():
        raise UserError(f"there is no store {options.tables}: name another with --tables, or leave it out")
    with steps("checking") as step:
        found = validate_published(options.path, step)
    asked = found.sound() if options.since is None else changed_since(found, options.path, options.since)
    recomputed: list[Recomputed] = []
    if options.recompute != 0:
        chosen = drawn(asked, options.recompute, options.seed, read_verified(options.path))
        tables = Store(options.tables) if options.tables is not None else None
        with Recomputation(tables) as again, steps("recomputing", len(chosen)) as step:
            for file, record in chosen.items():
                recomputed.append(again.recompute(options.path, file, record))
                step(record)
    if options.mark:
        standing = {record.id: record.digest for record in found.sound().values()}
        kept = {name: m for name, m in read_marks(options.path).items() if standing.get(name) == m.record}
        denied = {r.record.id for r in recomputed if r.outcome == "disagrees"}
        new = {r.record.id: r.mark for r in recomputed if r.mark is not None}
        write_marks(options.path, {name: m for name, m in (kept | new).items() if name not in denied})
    if options.format == "json":
        print(validation_json(found, recomputed), end="")
    else:
        print_validation(found, recomputed)
    return 1 if found.faults or any(r.outcome == "disagrees" for r in recomputed) else 0


def _say_left_out(damaged: Sequence[UserError]) -> None:
    from ..leaderboard.naming import plain

    for error in damaged[:MOST_SAID]:
        print(f"left out: {plain(str(error), 400)}", file=sys.stderr)
    if len(damaged) > MOST_SAID:
        print(f"and {len(damaged) - MOST_SAID} more files: `synthward validate` names them all", file=sys.stderr)


def _score(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import track

    from ..leaderboard.scorecard import html, terminal
    from ..results.store import write_atomically
    from .score import ROLES, score

    errors = Console(stderr=True)
    files = {role: getattr(options, role) for role in ROLES if getattr(options, role) is not None}
    written = [path for path in (options.json, options.html) if path is not None and str(path) != "-"]
    _refuse_to_write(written, [*files.values(), *filter(None, [options.card])])
    card = score(
        files,
        options.target,
        options.card,
        options.metrics.split(","),
        options.seed,
        {name: getattr(options, name) for name in ("sep", "encoding", "decimal")},
        lambda metrics: track(metrics, "scoring", console=errors, transient=True, disable=not errors.is_terminal),
    )
    values = card.model_dump_json(indent=1) + "\n"
    if str(options.json) == "-":
        print(values, end="")
    else:
        Console().print(terminal(card))
    for path in written:
        write_atomically(path, values if path == options.json else html(card))
        print(f"written: {path}", file=sys.stderr)
    return 0


def _list(options: argparse.Namespace) -> int:
    from .report import print_listing

    print_listing(options.what)
    return 0


def _explain(options: argparse.Namespace) -> int:
    from .explain import cards, markdown
    from .report import print_cards

    shown = cards(options.metrics)
    if options.markdown:
        print(markdown(shown), end="")
    else:
        print_cards(shown)
    return 0


def _describe(options: argparse.Namespace) -> int:
    from ..results.store import write_atomically
    from .describe import describe_file

    card = describe_file(options.path, options.target)
    if options.out is None:
        print(card, end="")
    else:
        if options.out.exists():
            raise UserError(f"{options.out} exists: name another file with --out, or remove it")
        write_atomically(options.out, card)
        print(f"{options.out}: correct it, then use it with dataset=file path={options.path} card={options.out}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from .report import print_verdicts

    return print_verdicts(options.target, options.params)


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import print_diagnosis

    print_diagnosis()
    return 0


def _refuse_to_write(paths: Sequence[Path], read: Sequence[Path]) -> None:
    """Look at where results are to go before minutes are spent on them.

    Raises:
        UserError: one would take the place of a file that is read or of another result, or has no folder.
    """
    taken = {path.resolve() for path in read}
    for path in paths:
        if path.resolve() in taken:
            raise UserError(f"{path} would be overwritten: name another file for the result")
        if not path.parent.is_dir() or path.is_dir():
            raise UserError(f"cannot write to {path}: name a file in a folder that exists")
        taken.add(path.resolve())


def _number_or_all(text: str) -> int | None:
    """How many records to draw, for argparse; ``None`` for all."""
    return None if text == "all" else _natural(text)


def _natural(text: str) -> int:
    """A whole number that is not negative, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of 0 or more")
    return int(text)


class _Parser(argparse.ArgumentParser):
    """Wrong arguments are a matter of one line too."""

    def error(self, message: str) -> NoReturn:
        print(f"synthward: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def _absolute(override: str) -> str:
    """Make the paths of a user's files absolute, and quote them: a launcher may run jobs in another folder."""
    key, _, value = override.partition("=")
    if (
        key not in ("path", "card", "store", "generator.path", "llm.transcript")
        or value in ("", "null")
        or value[0] == "$"
        or value[-1] == ")"
    ):
        return override
    paths = [value] if Path(value).exists() else value.split(",")
    unquoted = (path.strip().strip("'\"") for path in paths)
    quoted = (str(Path(path).expanduser().absolute()).replace("'", "\\'") for path in unquoted)
    return f"{key}=" + ",".join(f"'{path}'" for path in quoted)


def _make_current_folder_importable() -> None:
    """Let ``my_generator.MyGenerator`` be found, here and in the processes that run cells."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    inherited = os.environ.get("PYTHONPATH", "")
    if here not in inherited.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, inherited]))


if __name__ == "__main__":
    raise SystemExit(main())
