"""Files of the site, written by this process and, where there are many, by others."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    File = tuple[str, bytes]  # path within the folder, and content


MANY = 40  # jobs, from which on other processes pay


class Job(NamedTuple):
    """Files to write: what makes them, and of what."""

    make: Callable[..., Iterable[File]]
    of: tuple[Any, ...]


def write(out: Path, files: Iterable[File]) -> list[str]:
    """Write files below a folder, and give their paths.

    Raises:
        OSError: one cannot be written.
    """
    names = []
    for name, content in files:
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        names.append(name)
    return names


@contextmanager
def begun(out: Path, jobs: Sequence[Job]) -> Iterator[Iterator[list[str]]]:
    """Have the files of jobs written below a folder: by other processes, which begin at once, where jobs are many.

    Args:
        out: the folder.
        jobs: in the order in which they are begun.

    Yields:
        The paths of each job's files once they are written, to be asked for to the end: few jobs are done only then.
        Raises :class:`OSError` for a file that cannot be written. If the caller fails before, what other processes
        have begun is given up without a word.
    """
    if len(jobs) < MANY:
        yield (write(out, job.make(*job.of)) for job in jobs)
        return
    from joblib import Parallel, cpu_count, delayed

    workers = Parallel(n_jobs=cpu_count(), return_as="generator", batch_size=1, pre_dispatch="all")
    here = Path.cwd()
    made: Generator[list[str]] = workers(delayed(_write_from)(here, out, job) for job in jobs)
    try:
        yield made
    finally:
        with warnings.catch_warnings(action="ignore"):  # that nobody waits for it
            made.close()


def _write_from(here: Path, out: Path, job: Job) -> list[str]:
    os.chdir(here)  # the process may have been started elsewhere, and records may be named from here
    return write(out, job.make(*job.of))
