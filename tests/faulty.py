"""Generators that break the contract, or the process, in every way that a sweep must survive."""

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from synthward.generators import Access, Generator


class Fine(Generator):
    """Draws train rows with replacement: the control of the fault tests."""

    version = "1"

    def fit(self, view, seed):
        self.rows = view.rows()
        return self

    def sample(self, n, seed):
        return self.rows.iloc[np.random.default_rng(seed).integers(0, len(self.rows), n)]


class Slow(Fine):
    """Takes a while, so that a kill finds it at work."""

    def __init__(self, seconds=0.3):
        self.seconds = seconds

    def sample(self, n, seed):
        time.sleep(self.seconds)
        return super().sample(n, seed)


class RaisesInFit(Fine):
    def fit(self, view, seed):
        raise ValueError("no luck\nin fit")


class RaisesInSample(Fine):
    def sample(self, n, seed):
        raise RuntimeError("no luck in sample")


class WrongColumns(Fine):
    def sample(self, n, seed):
        return super().sample(n, seed).rename(columns={"age": "years"})


class WrongTypes(Fine):
    def sample(self, n, seed):
        return super().sample(n, seed).astype({"age": object}).assign(age="old")


class NoTable(Fine):
    def sample(self, n, seed):
        return [1, 2, 3]


class TooFew(Fine):
    def sample(self, n, seed):
        return super().sample(n // 2, seed)


class NoRows(Fine):
    def sample(self, n, seed):
        return super().sample(0, seed)


class Missing(Fine):
    def sample(self, n, seed):
        table = super().sample(n, seed).reset_index(drop=True)
        table.loc[3, "age"] = np.nan
        return table


class Infinite(Fine):
    def sample(self, n, seed):
        table = super().sample(n, seed).reset_index(drop=True)
        table.loc[3, "age"] = np.inf
        return table


class Lists(Fine):
    def sample(self, n, seed):
        return super().sample(n, seed).assign(sex=[["f"]] * n)


class OwnDiskFull(Fine):
    """Fills a disk of its own, which says nothing of the store's."""

    def sample(self, n, seed):
        raise OSError(28, "No space left on device", "/dev/shm/x")


class Unsupporting(Fine):
    def supports(self, schema):
        return "only tables of the moon"


class Peeks(Fine):
    access = Access.DESCRIPTION


class SleepsForever(Fine):
    """Starts a child, and a grandchild that leaves the process group, then sleeps. Their ids go to a file."""

    def __init__(self, pids):
        self.pids = pids

    def sample(self, n, seed):
        sleeper = "import time; time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", sleeper])
        escape = f"import os, subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {sleeper!r}], "
        escape += f"start_new_session=True); open({self.pids!r} + '.orphan', 'w').write(str(p.pid)); os._exit(0)"
        subprocess.run([sys.executable, "-c", escape], check=True)
        orphan = Path(self.pids + ".orphan").read_text()
        Path(self.pids).write_text(f"{os.getpid()} {child.pid} {orphan}")
        time.sleep(600)


class LeavesProcesses(SleepsForever):
    """Returns a good table and leaves two processes behind."""

    def sample(self, n, seed):
        sleep, time.sleep = time.sleep, lambda seconds: None
        try:
            super().sample(n, seed)
        finally:
            time.sleep = sleep
        return Fine.sample(self, n, seed)


class Allocates(Fine):
    def sample(self, n, seed):
        hoard = []
        while True:
            hoard.append(np.ones(4_000_000))  # 32 MB a time
            time.sleep(0.005)


class Segfaults(Fine):
    def sample(self, n, seed):
        ctypes.string_at(0)


class Exits(Fine):
    def sample(self, n, seed):
        os._exit(7)


class Prints(Fine):
    def sample(self, n, seed):
        for _ in range(64):
            print("x" * 100_000)
            os.write(2, b"y" * 100_000)
        return super().sample(n, seed)


class Unportrayable(Fine):
    """Its table cannot be portrayed: a public table's evaluation asks for the language model before the portrait."""

    def __init__(self, how="raises"):
        self.how = how

    def language_model(self):
        from synthward.metrics import portrait

        def fails(evaluation):
            if self.how == "dies":
                os._exit(3)
            if self.how == "hangs":
                time.sleep(60)
            raise ValueError("no likeness\nof this")

        if not Path("cheer").exists():
            portrait.portray = fails


class Forges(Fine):
    """Names a file of its own as the portrait is."""

    def attachments(self):
        return {"portrait.json": b"{}"}
