"""Every fault of a generator becomes a status with a message, through the real child process."""

import contextlib
import json
import os
import shutil
import subprocess
import time

import psutil
import pytest
from synthward.benchmarks.cell import Limits, plan_cell
from synthward.benchmarks.runner import run_cell
from synthward.results.reading import read_record
from synthward.results.record import Phase, Status
from synthward.results.store import Store, StoreFullError

LIMITS = Limits(generate_seconds=60, evaluate_seconds=60, memory_mb=4096)


def cell_of(card, name, seed=0, **params):
    generator = {"_target_": f"faulty.{name}", **params}
    return plan_cell({"dataset": card, "generator": generator, "protocol": {"split_seed": seed}, "seed": seed})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


@pytest.mark.parametrize(
    ("name", "status", "phase", "message"),
    [
        ("Fine", Status.OK, Phase.DONE, ""),
        ("RaisesInFit", Status.ERROR, Phase.FIT, "ValueError: no luck in fit"),
        ("RaisesInSample", Status.ERROR, Phase.SAMPLE, "RuntimeError: no luck in sample"),
        ("WrongColumns", Status.INVALID, Phase.CHECK, "the table lacks age and has unknown years"),
        ("WrongTypes", Status.INVALID, Phase.CHECK, "column 'age' is integer but holds values that are no numbers"),
        ("NoTable", Status.INVALID, Phase.CHECK, "sample() returned list, not a DataFrame"),
        ("TooFew", Status.PARTIAL, Phase.DONE, "24 of 48 rows"),
        ("NoRows", Status.INVALID, Phase.CHECK, "sample() returned no rows"),
        ("Missing", Status.INVALID, Phase.CHECK, "column 'age' has 1 missing values, but the card allows none there"),
        ("Infinite", Status.INVALID, Phase.CHECK, "column 'age' has infinite values"),
        ("Lists", Status.INVALID, Phase.CHECK, "the table holds values that cannot be read: unhashable type: 'list'"),
        ("Unsupporting", Status.UNSUPPORTED, Phase.LOAD, "only tables of the moon"),
        ("OwnDiskFull", Status.ERROR, Phase.SAMPLE, "OSError: [Errno 28] No space left on device: '/dev/shm/x'"),
        ("Exits", Status.CRASHED, Phase.SAMPLE, "the process ended by itself with exit status 7"),
    ],
)
def test_a_faulty_generator_is_recorded(small_card, store, worker, name, status, phase, message):
    record = run_cell(cell_of(small_card, name), ["valid_rows"], store, worker, LIMITS)
    assert (record.status, record.phase, record.message) == (status, phase, message)
    assert record == store.get(record.id)
    assert bool(record.measurements) == (status in (Status.OK, Status.PARTIAL))
    assert (store.folder(record.id) / "synthetic.parquet").exists() == (record.artifact is not None)
    assert not list((store.root / "work").iterdir())


def test_access_beyond_the_declared_tier_is_refused(small_card, store, worker):
    record = run_cell(cell_of(small_card, "Peeks"), [], store, worker, LIMITS)
    assert record.status is Status.ERROR
    assert "'description' access asked for 'rows'" in record.message


def alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(("name", "status"), [("SleepsForever", Status.TIMEOUT), ("LeavesProcesses", Status.OK)])
def test_no_process_outlives_its_cell(small_card, store, worker, tmp_path, name, status):
    pids = tmp_path / "pids"
    limits = Limits(generate_seconds=4, evaluate_seconds=60, memory_mb=4096)
    record = run_cell(cell_of(small_card, name, pids=str(pids)), [], store, worker, limits)
    assert record.status is status
    if status is Status.TIMEOUT:
        assert record.phase is Phase.SAMPLE
        assert "the limit is 4 s" in record.message
    left = [pid for pid in map(int, pids.read_text().split()) if alive(pid)]
    assert left == []


def test_memory_without_end_is_stopped(small_card, store, worker):
    limits = Limits(generate_seconds=120, evaluate_seconds=60, memory_mb=900)
    record = run_cell(cell_of(small_card, "Allocates"), [], store, worker, limits)
    assert record.status is Status.OOM
    assert record.phase is Phase.SAMPLE
    assert "limits.memory_mb" in record.message
    after = run_cell(cell_of(small_card, "Fine"), [], store, worker, LIMITS)
    assert after.status is Status.OK


def test_a_segmentation_fault_is_survived(small_card, store, worker):
    record = run_cell(cell_of(small_card, "Segfaults"), [], store, worker, LIMITS)
    assert record.status is Status.CRASHED
    assert "SIGSEGV" in record.message
    assert run_cell(cell_of(small_card, "Fine"), [], store, worker, LIMITS).status is Status.OK


def test_megabytes_of_output_do_no_harm(small_card, store, worker):
    record = run_cell(cell_of(small_card, "Prints"), [], store, worker, LIMITS)
    assert record.status is Status.OK
    log = store.folder(record.id) / "log.txt"
    assert 0 < log.stat().st_size <= 256 * 1024


def test_a_worker_killed_from_outside_is_replaced(small_card, store, worker):
    run_cell(cell_of(small_card, "Fine"), [], store, worker, LIMITS)
    psutil.Process(worker._zygote.pid).kill()
    time.sleep(0.2)
    assert run_cell(cell_of(small_card, "Fine", seed=1), [], store, worker, LIMITS).status is Status.OK


def test_a_metric_that_hangs_costs_its_own_value_alone(small_card, store, worker):
    limits = Limits(generate_seconds=60, evaluate_seconds=2, memory_mb=4096)
    names = ["valid_rows", "odd_metrics.hangs", "odd_metrics.dies", "odd_metrics.raises", "duplicates"]
    record = run_cell(cell_of(small_card, "Fine"), names, store, worker, limits)
    statuses = {m.metric: m.status for m in record.measurements}
    assert statuses["valid_rows"] is Status.OK
    assert statuses["hangs"] is Status.TIMEOUT
    assert statuses["dies"] is Status.CRASHED
    assert statuses["raises"] is Status.ERROR
    assert statuses["duplicates"] is Status.OK
    assert all(m.reason for m in record.measurements if m.status is not Status.OK)


def test_a_second_run_does_nothing_and_a_new_metric_only_scores(small_card, store, worker):
    cell = cell_of(small_card, "Fine")
    first = run_cell(cell, ["valid_rows"], store, worker, LIMITS)
    table = store.folder(cell.id) / "synthetic.parquet"
    made = table.stat().st_mtime_ns
    assert run_cell(cell, ["valid_rows"], store, worker, LIMITS) == first
    second = run_cell(cell, ["valid_rows", "duplicates"], store, worker, LIMITS)
    assert {m.metric for m in second.measurements} == {"valid_rows", "duplicates"}
    assert table.stat().st_mtime_ns == made
    assert second.seconds == first.seconds


@pytest.mark.parametrize("damage", ["truncate", "edit", "table", "no table", "other record", "garbage"])
def test_damage_is_found_set_aside_and_done_again(small_card, store, worker, damage):
    cell = cell_of(small_card, "Fine")
    before = run_cell(cell, ["duplicates"], store, worker, LIMITS)
    folder = store.folder(cell.id)
    path = folder / "record.json"
    if damage == "truncate":
        path.write_text(path.read_text()[:-200])
    elif damage == "edit":
        record = json.loads(path.read_text())
        record["measurements"][0]["value"] = 0.5
        path.write_text(json.dumps(record))
    elif damage == "table":
        data = bytearray((folder / "synthetic.parquet").read_bytes())
        data[len(data) // 2] ^= 1
        (folder / "synthetic.parquet").write_bytes(data)
    elif damage == "no table":
        (folder / "synthetic.parquet").unlink()
    elif damage == "other record":
        other = run_cell(cell_of(small_card, "Fine", seed=5), ["duplicates"], store, worker, LIMITS)
        shutil.copy(store.folder(other.id) / "record.json", path)
    else:
        path.write_bytes(b"\xff\x00[1, 2")
    assert store.get(cell.id) is None
    assert store.quarantined() == []  # looking moves nothing: the cell might just be being written
    again = run_cell(cell, ["duplicates"], store, worker, LIMITS)
    assert [m.model_copy(update={"seconds": 0}) for m in again.measurements] == [
        m.model_copy(update={"seconds": 0}) for m in before.measurements
    ]
    assert again.artifact == before.artifact
    assert read_record(path, store.cards) == again
    assert len(store.quarantined()) == 1


def test_a_failed_metric_is_measured_again_where_it_can_end_otherwise(small_card, store, worker):
    cell = cell_of(small_card, "Fine")

    def status(limits, retry="none"):
        record = run_cell(cell, ["odd_metrics.slow", "odd_metrics.raises"], store, worker, limits, retry)
        return {m.metric: (m.status, m.seconds) for m in record.measurements}

    short = Limits(generate_seconds=60, evaluate_seconds=1, memory_mb=4096)
    first = status(short)
    assert [first[name][0] for name in ("slow", "raises")] == [Status.TIMEOUT, Status.ERROR]
    assert status(short) == first
    second = status(LIMITS)  # the limit was raised: the slow one alone is tried again
    assert second["slow"][0] is Status.OK
    assert second["raises"] == first["raises"]
    stamp = (store.folder(cell.id) / "record.json").stat().st_mtime_ns
    third = status(LIMITS, "failed")
    assert third["slow"] == second["slow"]  # with its time: it was not measured again
    assert (store.folder(cell.id) / "record.json").stat().st_mtime_ns > stamp


def test_failures_are_kept_until_something_changed(small_card, store, worker, tmp_path):
    cell = cell_of(small_card, "RaisesInFit")
    first = run_cell(cell, [], store, worker, LIMITS)
    stamp = (store.folder(cell.id) / "record.json").stat().st_mtime_ns
    assert run_cell(cell, [], store, worker, LIMITS) == first
    run_cell(cell, [], store, worker, LIMITS, retry="failed")
    assert (store.folder(cell.id) / "record.json").stat().st_mtime_ns > stamp

    slow = cell_of(small_card, "Slow", seconds=3)
    short = Limits(generate_seconds=1, evaluate_seconds=60, memory_mb=4096)
    assert run_cell(slow, [], store, worker, short).status is Status.TIMEOUT
    assert run_cell(slow, [], store, worker, short).status is Status.TIMEOUT
    assert run_cell(slow, [], store, worker, LIMITS).status is Status.OK  # the limit was raised


@pytest.fixture
def tiny_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path):
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 512)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root; CI runs as root")
def test_a_full_disk_is_one_clear_line_and_keeps_what_was_done(small_card, tiny_disk, worker):
    store = Store(tiny_disk / "runs")
    first = run_cell(cell_of(small_card, "Fine"), ["duplicates"], store, worker, LIMITS)
    filler = tiny_disk / "filler"
    fill(filler)
    with pytest.raises(StoreFullError, match="free some space and run the same command again"):
        run_cell(cell_of(small_card, "Fine", seed=1), ["duplicates"], store, worker, LIMITS)
    assert [r.id for r in store.records()] == [first.id]
    filler.unlink()
    assert run_cell(cell_of(small_card, "Fine", seed=1), ["duplicates"], store, worker, LIMITS).status is Status.OK
