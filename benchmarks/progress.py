"""How a sweep goes, as seen from the store: a bar with the time left, or a line a cell."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..results.reading import RECORD_NAME
from ..results.record import USABLE, Record
from ..results.store import Store
from .plans import PlannedCell

POLL_SECONDS = 0.5


@dataclass
class _Watch:
    """Looks at the store while a launcher is busy, whichever launcher and on whichever machine."""

    waiting: dict[str, PlannedCell]
    store: Store
    seen: dict[str, float] = field(default_factory=dict)

    def finished(self) -> Iterator[Record]:
        """Records that were completed since the last call."""
        for cell_id, planned in list(self.waiting.items()):
            path = self.store.folder(cell_id) / RECORD_NAME
            try:
                changed = path.stat().st_mtime
            except FileNotFoundError:
                continue
            if self.seen.get(cell_id) == changed:
                continue
            self.seen[cell_id] = changed
            record = self.store.get(cell_id)
            if record is not None and planned.done(record):
                del self.waiting[cell_id]
                yield record


@contextmanager
def progress(todo: Sequence[PlannedCell], before: int, store: Store, console: Console) -> Iterator[None]:
    """Show how a sweep goes: a bar with the time left on a terminal, a line a cell in a log."""
    watch = _Watch({p.id: p for p in todo}, store)
    for p in todo:  # a cell that is run again shows its old record until the new one is there
        path = store.folder(p.id) / RECORD_NAME
        if path.exists():
            watch.seen[p.id] = path.stat().st_mtime
    start, total = time.monotonic(), len(todo)
    failed = 0

    def left(done: int) -> str:
        return f"about {duration((time.monotonic() - start) / done * (total - done))} left" if done else ""

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("cells"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[failed]}", style="red"),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("sweep", total=total + before, completed=before, left="", failed="")

        def look() -> None:
            nonlocal failed
            for record in watch.finished():
                done = total - len(watch.waiting)
                failed += record.status not in USABLE
                name = f"{record.dataset.name} / {record.generator.name} / seed {record.seed}"
                took = duration(record.seconds.get("total", 0.0))
                why = f": {record.message}" if record.message else ""
                line = f"[{done + before}/{total + before}] {name}: {record.status} in {took}{why}"
                if not console.is_terminal:
                    console.print(f"{line}; {left(done)}".removesuffix("; "), markup=False, soft_wrap=True)
                elif record.status not in USABLE:
                    console.print(line, markup=False, soft_wrap=True)
                shown = f"{failed} without a table" if failed else ""
                bar.update(task, completed=done + before, left=left(done), failed=shown)

        stop = threading.Event()

        def watch_store() -> None:
            while not stop.wait(POLL_SECONDS):
                look()

        thread = threading.Thread(target=watch_store, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            look()


def duration(seconds: float) -> str:
    """A time for people: ``0.4 s``, ``12 s``, ``3 min``, ``2 h 05 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
