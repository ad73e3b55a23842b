"""Sweeps over language models: planned, guarded, budgeted, published, replayed."""

import gzip
import os
import re
import signal
import subprocess
import time
from collections import Counter

import pandas as pd
import pytest
from command import COMMAND, environment, swept, synthward
from conftest import CARD, small_table
from llm_endpoint import Endpoint, breaks_off, drips, fails, json_answer, one_choice, says
from llm_rows import writes_rows
from synthward.benchmarks.dataset import DatasetCard
from synthward.results.reading import read_records
from synthward.results.store import Store

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def folder(tmp_path):
    """A table with a card of its own in the current folder."""
    put_table(tmp_path)
    return tmp_path


def put_table(folder):
    small_table().to_csv(folder / "small.csv", index=False)
    own = folder / "conf" / "dataset"
    own.mkdir(parents=True)
    (own / "small.yaml").write_text(CARD.format(path=folder / "small.csv"))


def make_public(folder):
    card = folder / "conf" / "dataset" / "small.yaml"
    card.write_text(card.read_text().replace("sharing: local-only", "sharing: public"))


@pytest.fixture
def schema(small_card):
    return DatasetCard.parse(small_card).schema_


def asks(endpoint, *more, url=None):
    """Overrides of a sweep of the small table that asks an endpoint."""
    settings = (
        *("llm=openai", "llm.model=test-model", f"llm.base_url={url or endpoint.url}"),
        *("llm.rows_per_reply=1", "llm.draws=4", "llm.concurrency=2", "llm.key_env=TEST_KEY"),
    )
    return "dataset=small", "metrics=none", *settings, *more


def only_record(folder, store="results/runs"):
    (record,) = Store(folder / store).records()
    return record


def test_a_cell_is_recorded_with_its_account_and_its_transcript(folder, schema):
    with Endpoint(writes_rows(schema)) as endpoint:
        swept(folder, *asks(endpoint, "generator=llm_zero_shot"), TEST_KEY=KEY)
    record = only_record(folder)
    facts = record.details["llm"]
    assert facts["model"]["model"] == "test-model"
    assert facts["calls"] == len(endpoint.bodies) == 12
    assert facts["prompt_tokens"] == 1200
    assert re.fullmatch("[0-9a-f]{12}", facts["prompt_template"])
    assert facts["paid"]["calls"] == 12
    assert facts["rejects"] == {}
    assert [a.path for a in record.attachments] == ["transcript.jsonl.gz"]
    assert endpoint.url not in record.to_json()
    assert endpoint.received[0].headers["authorization"] == f"Bearer {KEY}"
    for path in folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_what_is_published_of_a_private_table_holds_no_transcript(folder, schema):
    with Endpoint(writes_rows(schema)) as endpoint:
        swept(folder, *asks(endpoint, "generator=llm_few_shot"), TEST_KEY=KEY)
    assert only_record(folder).attachments
    assert synthward(folder, "publish", "--to", "published").returncode == 0
    assert [p.suffix for p in (folder / "published").rglob("*") if p.is_file()] == [".json"]


def test_published_transcripts_replay_to_the_same_record(folder, schema):
    make_public(folder)
    with Endpoint(writes_rows(schema)) as endpoint:
        swept(folder, *asks(endpoint, "generator=llm_zero_shot,llm_few_shot", "seed=0,1"), TEST_KEY=KEY)
    assert synthward(folder, "publish", "--to", "published").returncode == 0
    transcripts = {p: gzip.decompress(p.read_bytes()) for p in (folder / "published").rglob("*.transcript.jsonl.gz")}
    assert len(transcripts) == 4
    for path, content in transcripts.items():
        assert (b"messages" in content) == ("zero_shot" in path.name), "examples are rows, and stay here"
    swept(
        *(folder, "dataset=small", "metrics=none", "generator=llm_zero_shot,llm_few_shot", "seed=0,1"),
        *("llm=replay", "llm.transcript=published", "store=again"),
    )
    first, again = ({r.id: r for r in Store(folder / s).records()} for s in ("results/runs", "again"))
    assert len(first) == 4
    assert {i: r.artifact for i, r in first.items()} == {i: r.artifact for i, r in again.items()}
    assert {i: r.identity for i, r in first.items()} == {i: r.identity for i, r in again.items()}
    for record in again.values():
        assert record.details["llm"]["paid"]["calls"] == 0
        assert record.details["llm"]["calls"] == first[record.id].details["llm"]["calls"]
    made_again = synthward(folder, "validate", "published", "--recompute", "all")
    assert made_again.stdout.endswith("4 records; recomputed: 4 agrees; 0 faults\n"), made_again.stdout
    next(iter(transcripts)).unlink()
    lacking = synthward(folder, "validate", "published", "--recompute", "all")
    assert "lacks its attachment" in lacking.stdout
    assert lacking.stdout.endswith("4 records; recomputed: 3 agrees; 1 fault\n")
    swept(
        *(folder, "dataset=small", "metrics=none", "generator=llm_zero_shot"),
        *("llm=replay", "llm.transcript=results/runs", "store=thrice"),
    )
    assert only_record(folder, "thrice").artifact == first[only_record(folder, "thrice").id].artifact
    published = read_records(folder / "published", pytest.fail)
    assert sorted(r.id for r in published) == sorted(first)


def test_a_replay_fails_on_what_the_transcript_does_not_hold(folder, schema):
    with Endpoint(writes_rows(schema)) as endpoint:
        swept(folder, *asks(endpoint, "generator=llm_zero_shot"), TEST_KEY=KEY)
    (transcript,) = folder.rglob("transcript.jsonl.gz")
    named = folder / "one.transcript.jsonl.gz"
    named.write_bytes(transcript.read_bytes())
    swept(
        *(folder, "dataset=small", "metrics=none", "generator=llm_zero_shot", "seed=1"),
        *("llm=replay", f"llm.transcript={named}", "store=again"),
    )
    record = only_record(folder, "again")
    assert record.status == "error"
    assert "does not hold request 0" in record.message


def test_a_second_run_asks_nothing(folder, schema):
    with Endpoint(writes_rows(schema)) as endpoint:
        swept(folder, *asks(endpoint, "generator=llm_zero_shot"), TEST_KEY=KEY)
        asked = len(endpoint.bodies)
        swept(folder, *asks(endpoint, "generator=llm_zero_shot", "retry=all"), TEST_KEY=KEY)
        assert len(endpoint.bodies) == asked
    assert only_record(folder).details["llm"]["paid"]["cached_tokens"] > 0
    shown = synthward(folder, "leaderboard")
    assert shown.returncode == 0
    assert "left out" not in shown.stdout + shown.stderr  # kept replies are no damaged records


def test_a_plan_says_what_a_sweep_will_cost_and_asks_nobody(folder, schema):
    with Endpoint(writes_rows(schema)) as endpoint:
        overrides = asks(endpoint, "generator=llm_zero_shot,llm_specification,marginals", "llm.model=gpt-4o-mini")
        done = synthward(folder, "plan", *overrides)
        assert done.returncode == 0, done.stderr
        assert not endpoint.received
    assert "3 cells: 0 done, 3 left, 2 of them ask a language model" in done.stdout
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("llm_zero_shot"))
    assert line.split()[1:5] == ["small", "1", "48", "12"]
    assert "(metrics)" not in done.stdout
    assert not (folder / "results").exists()


def test_a_plan_holds_what_metrics_ask(folder, schema):
    """Once for a model and a table, whatever the generators are, and as many requests as the sweep then sends."""
    make_public(folder)
    with Endpoint(writes_rows(schema)) as endpoint:
        overrides = asks(endpoint, "generator=llm_zero_shot,llm_few_shot", "seed=0,1", "metrics.names=[memorisation]")
        done = synthward(folder, "plan", *overrides)
        assert done.returncode == 0, done.stderr
        (line,) = (line for line in done.stdout.splitlines() if line.startswith("(metrics)"))
        (total,) = (line for line in done.stdout.splitlines() if line.startswith("total"))
        swept(folder, *overrides, TEST_KEY=KEY)
        assert int(line.split()[2]) == sum(b["messages"][0]["role"] == "system" for b in endpoint.bodies) > 10
        assert int(total.split()[2]) == len(endpoint.bodies)
        more = synthward(folder, "plan", *overrides[:-1], "metrics.names=[memorisation,valid_rows]")
        assert "4 left" in more.stdout
        assert "(metrics)" not in more.stdout


def test_a_store_of_before_there_were_portraits_gets_them_and_nobody_is_asked(folder, schema):
    make_public(folder)
    with Endpoint(writes_rows(schema)) as endpoint:
        overrides = asks(endpoint, "generator=llm_zero_shot", "metrics.names=[memorisation,column_shapes]")
        swept(folder, *overrides, TEST_KEY=KEY)
        store, made = Store(folder / "results/runs"), only_record(folder)
        assert [a.path for a in made.attachments] == ["transcript.jsonl.gz", "portrait.json"]
        breakdowns = {m.variant or m.metric: set(m.breakdown) for m in made.measurements}
        assert breakdowns["header"] == {"baseline"}
        assert breakdowns["column_shapes"] == set()
        store.put(made.model_copy(update={"attachments": made.attachments[:1]}))
        (store.folder(made.id) / "portrait.json").unlink()
        paid = len(endpoint.bodies)
        assert "1 left" in synthward(folder, "plan", *overrides).stdout
        done = swept(folder, *overrides, TEST_KEY=KEY)
        assert done.stdout.startswith("1 cell: 1 ok")
        assert len(endpoint.bodies) == paid
    again = only_record(folder)
    assert again.attachments[0] == made.attachments[0]
    assert again.attachments[1].path == "portrait.json"
    assert again.measurements == made.measurements
    assert again.artifact == made.artifact


def test_a_spent_budget_ends_the_sweep_and_a_larger_one_goes_on(folder, schema):
    with Endpoint(writes_rows(schema)) as endpoint:
        overrides = asks(endpoint, "generator=llm_zero_shot,marginals", "seed=0,1")
        stopped = synthward(folder, "sweep", *overrides, "llm.max_tokens=2000", TEST_KEY=KEY)
        assert stopped.returncode == 1
        assert "llm.max_tokens=2,000" in stopped.stdout + stopped.stderr
        assert "Traceback" not in stopped.stderr
        records = list(Store(folder / "results/runs").records())
        assert {r.status for r in records} == {"ok"}
        assert sum(r.generator.name == "marginals" for r in records) == 2
        assert len(records) < 4
        paid = len(endpoint.bodies)
        assert 4 <= paid < 20
        swept(folder, *overrides, "llm.max_tokens=100000", TEST_KEY=KEY)
        assert len(endpoint.bodies) == 24
    assert len(list(Store(folder / "results/runs").records())) == 4


def test_a_budget_that_ends_within_a_metric_is_no_result(folder, schema):
    """The metric is asked for again; nothing that was measured before it is lost."""
    make_public(folder)
    with Endpoint(writes_rows(schema)) as endpoint:
        overrides = asks(endpoint, "generator=llm_zero_shot", "metrics.names=[valid_rows,memorisation]")
        stopped = synthward(folder, "sweep", *overrides, "llm.max_tokens=5000", TEST_KEY=KEY)
        assert stopped.returncode == 1
        assert "llm.max_tokens=5,000" in stopped.stdout + stopped.stderr
        assert {m.metric for m in only_record(folder).measurements} == {"valid_rows"}
        paid = len(endpoint.bodies)
        assert paid > 12
        swept(folder, *overrides, "llm.max_tokens=1000000", TEST_KEY=KEY)
        assert len(endpoint.bodies) > paid
    assert {m.metric for m in only_record(folder).measurements} == {"valid_rows", "memorisation"}


def test_an_endpoint_that_fails_within_a_metric_is_an_error_and_no_gap(folder, schema):
    make_public(folder)
    with Endpoint(writes_rows(schema)) as endpoint:
        overrides = asks(endpoint, "generator=llm_zero_shot", "metrics.names=[memorisation]", "llm.retries=0")
        endpoint.always = lambda received: (
            fails(500)(received)
            if received.body["messages"][0]["role"] == "system"
            else json_answer(endpoint.completion(received.body))
        )
        swept(folder, *overrides, TEST_KEY=KEY)
        (found,) = only_record(folder).measurements
        assert (found.status, found.value) == ("error", None)
        assert "500" in found.reason
        endpoint.always = None
        swept(folder, *overrides, "retry=failed", TEST_KEY=KEY)
    assert {m.status for m in only_record(folder).measurements} <= {"ok", "partial"}


def test_private_rows_are_refused_before_anything_is_run(folder, schema):
    with Endpoint(writes_rows(schema)) as endpoint:
        away = endpoint.url.replace("127.0.0.1", "127.1")
        overrides = asks(endpoint, "generator=marginals,llm_few_shot", url=away)
        refused = synthward(folder, "sweep", *overrides, TEST_KEY=KEY)
        assert refused.returncode == 2
        assert refused.stderr.count("\n") == 1
        assert "llm.allow_remote=true" in refused.stderr
        assert not endpoint.received
        assert not list(Store(folder / "results/runs").records())
        swept(folder, *overrides, "llm.allow_remote=true", TEST_KEY=KEY)
        assert endpoint.bodies


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["llm=replay"], "llm.transcript"),
        (["llm=replay", "llm.transcript=nowhere"], "there is no transcript"),
        (["llm=openai", "llm.draws=0"], "llm.draws"),
        (["llm=vllm", "llm.model=''"], "llm.model"),
        (["llm=llama_cpp"], "the name of the model that the server has loaded, as it answers to any name: llm.model="),
        (["llm=embedded", "llm.model=smollm3"], "smollm2-135m-instruct"),
        (["llm=opnai"], "did you mean openai"),
    ],
)
def test_wrong_settings_are_one_line(folder, overrides, said):
    done = synthward(folder, "sweep", "dataset=small", "generator=llm_zero_shot", *overrides)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("env", "said"), [({}, "TEST_KEY holds no key"), ({"TEST_KEY": KEY}, "nothing answers there")])
def test_no_key_and_no_endpoint_are_recorded_in_one_line(folder, env, said):
    overrides = ("llm=openai", "llm.base_url=http://127.0.0.1:9/v1", "llm.key_env=TEST_KEY", "llm.model=m")
    swept(folder, "dataset=small", "metrics=none", "generator=llm_zero_shot", *overrides, **env)
    record = only_record(folder)
    assert record.status == "error"
    assert said in record.message
    assert KEY not in record.message


def writes(row, model="test-model"):
    """Behaviour: this row, with prose around it, in each of four choices."""
    return says(*[f"Here is the table you asked for:\n{row}\nI hope that it helps."] * 4, model=model)


WORDS = '{"age": "sixty-three", "pressure": 120, "sex": "f", "ward": "icu", "died": 0}'
INFINITE = '{"age": 63, "pressure": Infinity, "sex": "f", "ward": "icu", "died": 0}'
NAN = '{"age": NaN, "pressure": 120, "sex": "f", "ward": "icu", "died": 0}'
UNITS = '{"age": 63, "pressure": "120 mmHg", "sex": "f", "ward": "icu", "died": 0}'
GOOD = '{"age": 63, "pressure": 120, "sex": "f", "ward": "icu", "died": 0}'
BARREN = "the last 20 replies held no valid row (llm.max_rejects=20)"

# Model to behaviours (the last one again and again), status, message, and requests at most: two under way at a time
# with one further attempt each, or the eight of which a wave consists.
FAULTS = {
    "storm": ([fails(429, "slow down", retry_after="0.1")], "error", "answers 429: slow down (2 attempts)", 4),
    "breaks": ([fails(500, f"out of {KEY}")], "error", "answers 500: out of [key] (2 attempts)", 4),
    "drops": ([breaks_off], "error", "the connection broke off (2 attempts)", 4),
    "drips": ([drips], "error", "no whole reply within llm.request_seconds=3 (2 attempts)", 4),
    "unheard-of": ([fails(404, "try pulling it")], "error", "has no model 'unheard-of'", 2),
    "locked": ([fails(401, f"Incorrect API key provided: {KEY}")], "error", "check the key in TEST_KEY", 2),
    "floods": ([says("x" * 10 * 2**20)], "error", "a reply without end (2 attempts)", 4),
    "renames": ([writes('{"years": 63, "gender": "f"}')], "error", f"{BARREN} (unknown column: 20)", 8),
    "spells": ([writes(WORDS)], "error", f"{BARREN} (not a number: 20)", 8),
    "infinite": ([writes(INFINITE)], "error", f"{BARREN} (not finite: 20)", 8),
    "undefined": ([writes(NAN)], "error", f"{BARREN} (not finite: 20)", 8),
    "swapped": ([writes(GOOD, "one.gguf"), writes(GOOD, "other.gguf")], "ok", "", 12),
    "measures": ([writes(GOOD), writes(UNITS)], "partial", "4 of 48 rows", 8),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A sweep over all of these: its folder, what it printed, and by model its record and number of requests."""
    folder = tmp_path_factory.mktemp("faulty")
    put_table(folder)
    behaviours = {model: iter([*script[:-1], *[script[-1]] * 99]) for model, (script, *_) in FAULTS.items()}
    with Endpoint() as endpoint:
        endpoint.always = lambda received: next(behaviours[received.body["model"]])(received)
        models = f"llm.model={','.join(FAULTS)}"
        short = "llm.request_seconds=3", "llm.retries=1"
        done = swept(folder, *asks(endpoint, "generator=llm_zero_shot", models, *short), TEST_KEY=KEY)
        asked = Counter(body["model"] for body in endpoint.bodies)
    records = {r.generator.params["llm"]["model"]: r for r in Store(folder / "results/runs").records()}
    return folder, done, records, asked


@pytest.mark.parametrize("model", FAULTS)
def test_each_fault_ends_a_cell_in_one_clear_line_after_few_requests(faulty, model):
    _, done, records, asked = faulty
    _, status, message, most = FAULTS[model]
    assert records[model].status == status
    assert message in records[model].message
    assert records[model].message in done.stdout + done.stderr
    assert "\n" not in records[model].message
    assert 1 <= asked[model] <= most
    assert records[model].seconds["total"] < 30


def test_what_came_before_rows_went_wrong_is_kept(faulty):
    *_, records, _ = faulty
    facts = records["measures"].details["llm"]
    assert records["measures"].artifact.rows == 4
    assert facts["ended"] == BARREN
    assert set(facts["rejects"]) == {"not a number"}


def test_a_model_that_was_swapped_for_another_is_told(faulty):
    *_, records, _ = faulty
    assert records["swapped"].details["llm"]["answered_by"] == ["one.gguf", "other.gguf"]


def test_no_fault_makes_a_sweep_tell_its_key(faulty):
    folder, done, *_ = faulty
    assert KEY not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for path in folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("draws", [1, 8])
def test_a_kill_loses_no_reply_that_was_paid_for(folder, schema, draws):
    with Endpoint(writes_rows(schema)) as endpoint:
        endpoint.always = one_choice(endpoint, pause=0.1)

        def paid():
            return sum("n" not in body for body in endpoint.bodies)

        overrides = asks(endpoint, "generator=llm_zero_shot", f"llm.draws={draws}")
        command = [*COMMAND, "sweep", *overrides]
        process = subprocess.Popen(command, cwd=folder, env=environment(TEST_KEY=KEY), start_new_session=True)
        deadline = time.monotonic() + 60
        while paid() < 12 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(1)
        kept = len(list((folder / "results/runs/llm").rglob("*.json*"))) - 1  # the ledger
        before = paid()
        assert before - 2 <= kept <= before  # two may have been under way
        swept(folder, *overrides, TEST_KEY=KEY)
        assert paid() == before + 48 - kept
    assert only_record(folder).status == "ok"


def test_shown_rows_are_checked_for_copies(folder, schema):
    train = pd.read_csv(folder / "small.csv")
    assert len(train) == 120
    with Endpoint(writes_rows(schema, missing=0.1)) as endpoint:
        overrides = asks(endpoint, "generator=llm_few_shot", "generator.k=4", "metrics.names=[example_copying]")
        swept(folder, *overrides, TEST_KEY=KEY)
    record = only_record(folder)
    assert len(record.details["shown_rows"]) == 4 * len(endpoint.bodies)
    values = [m.value for m in record.measurements if m.metric == "example_copying"]
    assert values
    assert all(value is not None and value < 0.2 for value in values)
    assert record.content()["details"]["shown_rows"]


def test_curation_goes_on_from_the_rows_of_the_generator_inside(folder, schema):
    """From the command to the record: what was shown, what it cost, and a table that a transcript gives again."""
    make_public(folder)
    with Endpoint(writes_rows(schema)) as endpoint:
        swept(folder, *asks(endpoint, "generator=llm_few_shot"), TEST_KEY=KEY)
        inside = len(endpoint.bodies)
        overrides = asks(endpoint, "generator=llm_curated", "metrics.names=[example_copying,tstr_auroc]")
        swept(folder, *overrides, TEST_KEY=KEY)
        asked = len(endpoint.bodies)
    few, curated = sorted(Store(folder / "results/runs").records(), key=lambda r: r.generator.name, reverse=True)
    assert (few.generator.name, curated.generator.name) == ("llm_few_shot", "llm_curated")
    assert curated.status == few.status == "ok"
    facts, account = curated.details["curation"], curated.details["llm"]
    assert facts["discarded"] > 0
    assert facts["generated"] == account["rows_read"] == 48 + facts["discarded"] + facts["surplus"]
    assert account["calls"] == inside + account["paid"]["calls"]
    assert account["paid"]["calls"] == asked - inside == sum(r["llm"]["calls"] for r in facts["further_rounds"])
    exposure = {"shown": 20, "only_learned": 0, "train_rows": 48}
    assert curated.details["exposure"] == few.details["exposure"] == exposure
    assert set(curated.details["shown_rows"]) == set(few.details["shown_rows"])
    assert curated.generator.access == "examples"
    assert {m.metric: m.status for m in curated.measurements} == {"example_copying": "ok", "tstr_auroc": "ok"}
    transcripts = [a.path for a in curated.attachments if a.path != "portrait.json"]
    assert len(transcripts) == 1 + len(facts["further_rounds"]) == len(curated.attachments) - 1
    replay = ("llm=replay", "llm.transcript=results/runs", "store=again")
    swept(folder, "dataset=small", "metrics=none", "generator=llm_curated", *replay)
    assert only_record(folder, "again").artifact == curated.artifact
