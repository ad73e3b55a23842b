"""What `synthward explain` says of metrics."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import forked


def explained(*arguments: str) -> str:
    done = forked(Path.cwd(), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_card_is_said_in_words() -> None:
    said = " ".join(explained("explain", "dcr_share", "ks_complement").split())
    assert "dcr_share ◎ 0.5" in said
    assert "nearest to 0.5 is best; 0 to 1" in said
    assert "ks_complement ↑" in said
    assert "SDMetrics" in said
    assert "suites complete, default, fidelity, llm" in said


def test_unknown_metric_is_one_line_that_names_the_nearest() -> None:
    done = forked(Path.cwd(), "explain", "ks_complementt")
    assert done.returncode == 2
    assert done.stderr.startswith("synthward: there is no metric 'ks_complementt': did you mean ks_complement")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ("names: column_shapes", "the suite of metrics 'mine' needs names: a list of metrics"),
        ("{}", "the suite of metrics 'mine' needs names: a list of metrics"),
        ("names: [valid_rows, mine]", "the suite of metrics 'mine' holds itself: mine > mine"),
    ],
)
def test_wrong_suite_is_one_line(tmp_path: Path, suite: str, message: str) -> None:
    (tmp_path / "conf" / "metrics").mkdir(parents=True)
    (tmp_path / "conf" / "metrics" / "mine.yaml").write_text(suite)
    done = forked(tmp_path, "explain", "dcr")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_markdown_has_every_metric() -> None:
    document = explained("explain", "--markdown")
    listed = explained("list", "metrics")
    for name in ("column_shapes", "tstr_auroc", "nndr", "valid_rows", "peak_memory"):
        assert f"### {name} " in document
        assert name in listed


def test_documentation_has_the_cards_as_they_are() -> None:
    document = (Path(__file__).parent.parent / "metrics" / "README.md").read_text(encoding="utf-8")
    assert document == explained("explain", "--markdown"), "run `make docs`"
