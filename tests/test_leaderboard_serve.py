"""`synthward leaderboard serve`: the board over HTTP, to this machine alone."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_records import plausible
from command import COMMAND, environment, synthward
from synthward.results.record import cell_id
from synthward.results.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for made in plausible(seeds=1):
        Store(tmp_path / "results/runs").put(made.model_copy(update={"id": cell_id(made.identity)}))
    return tmp_path


@pytest.fixture
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [*COMMAND, "leaderboard", "serve", "--port", "0", "--out", "site"]
    with subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line
        yield process, found[0]
        process.kill()


def test_the_board_is_served_to_this_machine_until_it_is_interrupted(
    serving: tuple[subprocess.Popen[str], str], folder: Path
) -> None:
    process, address = serving
    with urllib.request.urlopen(address, timeout=10) as page:
        assert page.read() == (folder / "site/index.html").read_bytes()
    for outside in ("../results/", "%2e%2e/results/runs/"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address + outside, timeout=10)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0


def test_a_port_that_is_taken_is_one_line(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = synthward(folder, "leaderboard", "serve", "--port", port)
    assert done.returncode == 2
    assert f"cannot listen on port {port} (Address already in use): choose another with --port" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_cannot_be_is_one_line(folder: Path) -> None:
    done = synthward(folder, "leaderboard", "serve", "--port", "70000")
    assert done.returncode == 2
    assert "cannot listen on port 70000" in done.stderr
