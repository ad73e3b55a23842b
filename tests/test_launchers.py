"""Every launcher leads to the same records, and gives each worker one thread."""

import uuid

import pytest
from command import all_ended, contents, swept
from conftest import small_table

MINE = """
import os
from synthward.generators import Generator

class OneThread(Generator):
    '''Draws train rows, where numerical libraries may use one thread only.'''

    version = "1"

    def fit(self, view, seed):
        import torch
        from threadpoolctl import threadpool_info

        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            assert os.environ[name] == "1", name
        assert torch.get_num_threads() == 1
        assert all(pool["num_threads"] == 1 for pool in threadpool_info())
        self.rows = view.rows()
        return self

    def sample(self, n, seed):
        return self.rows.sample(n, replace=True, random_state=seed)
"""
GRID = ("generator=mine.OneThread,marginals", "seed=0,1", "metrics.names=[valid_rows,duplicates,fit_seconds]")
RAY = ("hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false")


def sweep(folder, *launcher):
    """What the records of a small sweep hold; the user's environment asks for many threads."""
    small_table().to_csv(folder / "small.csv", index=False)
    (folder / "mine.py").write_text(MINE)
    many = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "8")
    tag = uuid.uuid4().hex
    done = swept(folder, *GRID, *launcher, TAG=tag, **many)
    assert done.stdout.startswith("4 cells: 4 ok"), done.stdout
    assert all_ended(tag) == []
    return contents(folder)


@pytest.fixture(scope="module")
def by_basic(tmp_path_factory):
    return sweep(tmp_path_factory.mktemp("basic"), "hydra/launcher=basic")


def test_joblib_is_the_default_and_gives_the_same_records(by_basic, tmp_path):
    assert sweep(tmp_path) == by_basic


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [("hydra/launcher=submitit_local",), ("hydra/launcher=ray",), RAY])
def test_launchers_of_the_extras_give_the_same_records(by_basic, tmp_path, launcher):
    assert sweep(tmp_path, *launcher) == by_basic
    assert swept(tmp_path, *GRID, *launcher).stdout.startswith("4 cells, 4 of them done before: 4 ok")
