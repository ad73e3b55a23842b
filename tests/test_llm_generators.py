"""Generators that let a language model write rows: the contract, and what a prompt tells."""

import itertools
import time
from importlib import resources

import numpy as np
import pandas as pd
import pytest
import yaml
from llm_endpoint import Endpoint, says
from llm_rows import group, writes_rows
from synthward.benchmarks.dataset import DatasetCard, Protocol, Split
from synthward.benchmarks.schema import TableSchema
from synthward.benchmarks.sources import load_dataset
from synthward.generators import AccessDeniedError, TrainView
from synthward.generators.checks import check_generator, specimen
from synthward.generators.llm.few_shot import FewShot
from synthward.generators.llm.formats import FORMATS
from synthward.generators.llm.prompts import describe, fictitious, relate
from synthward.generators.llm.statistics import Statistics
from synthward.generators.llm.zero_shot import ZeroShot
from synthward.results.errors import UserError

WRITERS = (ZeroShot, Statistics, FewShot)


@pytest.fixture
def schema():
    return specimen()[0]


def card(schema, **more):
    facts = {"name": "wards", "title": "Ward admissions", "description": "Adults on a ward.", "sharing": "public"}
    return DatasetCard(**facts | more, schema_=schema)


def view(schema, split, generator, **more):
    return TrainView(schema, split, generator.access, card(schema, **more))


def prompts(endpoint):
    return [body["messages"][-1]["content"] for body in endpoint.bodies]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("format", FORMATS)
def test_contract(writer, format, schema):
    with Endpoint(writes_rows(schema, 0.2 if writer is FewShot else 0.0, format)) as endpoint:
        verdicts = list(check_generator(lambda: writer(group(endpoint, format=format)), *specimen()))
    assert [f"{v.name}: {v.message}" for v in verdicts if not v.passed] == []


@pytest.mark.parametrize("writer", WRITERS)
def test_rows_come_in_the_order_of_requests_however_fast_they_are(writer, schema):
    tables = []
    for concurrency, delay in ((1, 0.0), (8, 0.003)):
        answer = writes_rows(schema)
        slow = itertools.cycle([delay, 0.0])

        def late(body, choice, answer=answer, slow=slow):
            time.sleep(next(slow))
            return answer(body, choice)

        with Endpoint(late) as endpoint:
            generator = writer(group(endpoint, concurrency=concurrency))
            tables.append(generator.fit(view(*specimen(), generator), 1).sample(30, 2))
    pd.testing.assert_frame_equal(*tables)


def test_a_zero_shot_prompt_is_the_same_whatever_the_rows_are(schema):
    _, split = specimen()
    other = Split(*(part.iloc[::-1].assign(age=50.0) for part in (split.train, split.control, split.test)))
    said = []
    for each in (split, other):
        with Endpoint(writes_rows(schema)) as endpoint:
            generator = ZeroShot(group(endpoint))
            generator.fit(view(schema, each, generator), 1).sample(20, 2)
            said.append(prompts(endpoint))
    assert said[0]
    assert sorted(said[0]) == sorted(said[1])


@pytest.mark.parametrize("writer", [ZeroShot, Statistics])
def test_no_row_is_shown_below_the_examples_tier(writer, schema):
    """Every train row holds a number that no other has; no line of a prompt holds two values of one row."""
    _, split = specimen()
    rng = np.random.default_rng(0)
    train = split.train.assign(
        creatinine=(0.2 + rng.permutation(len(split.train)) * 0.0937).round(4),
        bilirubin=(0.1 + rng.permutation(len(split.train)) * 0.1213).round(4),
    )
    with Endpoint(writes_rows(schema)) as endpoint:
        generator = writer(group(endpoint))
        generator.fit(view(schema, Split(train, split.control, split.test), generator), 1).sample(20, 2)
        lines = [line for prompt in prompts(endpoint) for line in prompt.splitlines()]
    assert lines
    rows = [(f"{c:.4f}".rstrip("0"), f"{b:.4f}".rstrip("0")) for c, b in train[["creatinine", "bilirubin"]].to_numpy()]
    assert not [(row, line) for row in rows for line in lines if row[0] in line and row[1] in line]


def test_examples_are_train_rows_and_are_logged(schema):
    _, split = specimen()
    with Endpoint(writes_rows(schema)) as endpoint:
        generator = FewShot(group(endpoint), k=3, shuffle=False)
        seen = view(schema, split, generator)
        generator.fit(seen, 1).sample(10, 2)
        said = prompts(endpoint)
    assert len(seen.shown) == 3 * len(said)
    lines = [FORMATS["csv"].write(row, schema.columns) for row in split.train.to_dict("records")]
    shown = {lines[i] for i in seen.shown}
    assert {line for prompt in said for line in prompt.splitlines() if line in lines} == shown


def test_other_requests_see_other_examples_and_another_order(schema):
    with Endpoint(writes_rows(schema)) as endpoint:
        generator = FewShot(group(endpoint), k=3)
        generator.fit(view(*specimen(), generator), 1).sample(12, 2)
        said = prompts(endpoint)
    assert len(said) == 3
    assert len(set(said)) == 3
    headers = {next(line for line in prompt.splitlines() if line.count(",") == 7) for prompt in said}
    assert len(headers) == 3


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ("prior_knowledge", "Ward admissions"),
        ("dictionary", "age at admission"),
        ("example", "A fictitious example"),
    ],
)
def test_every_block_of_the_prompt_can_be_left_out(block, text, schema):
    said = []
    for flag in (True, False):
        with Endpoint(writes_rows(schema)) as endpoint:
            generator = ZeroShot(group(endpoint), **{block: flag})
            generator.fit(view(*specimen(), generator), 1).sample(1, 2)
            said += prompts(endpoint)
    assert text in said[0]
    assert text not in said[1]


def test_columns_keep_their_order_without_shuffling(schema):
    with Endpoint(writes_rows(schema)) as endpoint:
        generator = ZeroShot(group(endpoint), shuffle=False)
        generator.fit(view(*specimen(), generator), 1).sample(8, 2)
        assert all(",".join(schema.names) in prompt for prompt in prompts(endpoint))


def test_the_example_is_that_of_the_card_and_never_a_gap(schema):
    row = fictitious(schema.columns, {"age": 61})
    assert row["age"] == 61
    table = pd.DataFrame([row])
    assert schema.conform(schema.canonical(table)).valid.all()


def test_statistics_tell_moments_shares_and_strong_associations(schema):
    _, split = specimen()
    with Endpoint(writes_rows(schema)) as endpoint:
        generator = Statistics(group(endpoint), threshold=0.3)
        generator.fit(view(schema, split, generator), 1).sample(1, 2)
        (prompt,) = prompts(endpoint)
    assert f"mean {split.train['age'].mean():.4g}" in prompt
    assert f"f {(split.train['sex'] == 'f').mean():.1%}" in prompt
    died = (split.train["died"] == "1").astype(float)
    r = split.train["age"].corr(died)
    assert abs(r) > 0.3
    assert f"age and died=1: r = {r:+.2f}" in prompt
    assert not any(abs(float(line.rpartition("= ")[2])) < 0.295 for line in prompt.splitlines() if ": r = " in line)


def test_associations_are_those_of_pandas_and_the_strongest_come_first(schema):
    _, split = specimen()
    told = TrainView(schema, split, Statistics.access).associations()
    expected = split.train["age"].corr(split.train["creatinine"])
    assert told["age", "creatinine"] == pytest.approx(expected)
    assert told["age", "ward=surgical"] == pytest.approx(
        split.train["age"].corr((split.train["ward"] == "surgical").where(split.train["ward"].notna()).astype(float))
    )
    lines = relate(told, schema, 0.0, 5)
    sizes = [abs(float(line.rpartition("= ")[2])) for line in lines]
    assert len(lines) == 5
    assert sizes == sorted(sizes, reverse=True)


def test_a_constant_column_has_no_association(schema):
    _, split = specimen()
    constant = Split(split.train.assign(age=50.0), split.control, split.test)
    told = TrainView(schema, constant, Statistics.access).associations()
    assert told
    assert not any("age" in pair for pair in told)


def test_description_access_gives_neither_statistics_nor_examples(schema):
    seen = TrainView(*specimen(), ZeroShot.access)
    for ask in (seen.statistics, seen.associations, lambda: seen.examples(1, 0)):
        with pytest.raises(AccessDeniedError):
            ask()


@pytest.mark.parametrize("how", ["random", "stratified", "diverse"])
def test_examples_are_distinct_and_depend_on_the_seed(how, schema):
    seen = TrainView(*specimen(), FewShot.access)
    seen.examples(20, 1, how)
    first = list(seen.shown)
    seen.examples(20, 1, how)
    seen.examples(20, 2, how)
    assert len(set(first)) == 20
    assert seen.shown[20:40] == first
    assert seen.shown[40:] != first


def test_stratified_examples_hold_every_class_and_keep_its_share():
    schema = TableSchema.model_validate(
        {"columns": {"x": {"kind": "continuous"}, "y": {"kind": "categorical", "codes": ["a", "b", "c"]}}}
        | {"target": "y", "task": "multiclass"}
    )
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=500), "y": ["a"] * 440 + ["b"] * 50 + ["c"] * 10}).astype({"y": object})
    for seed in range(20):
        seen = TrainView(schema, Split(table, table, table), FewShot.access)
        assert set(seen.examples(3, seed, "stratified")["y"]) == {"a", "b", "c"}
        assert abs((seen.examples(100, seed, "stratified")["y"] == "b").sum() - 10) <= 1


def test_diverse_examples_spread_wider_than_random_ones(schema):
    spread = {}
    for how in ("random", "diverse"):
        seen = TrainView(*specimen(), FewShot.access)
        ages = [seen.examples(8, seed, how)["age"] for seed in range(30)]
        spread[how] = np.mean([a.max() - a.min() for a in ages])
    assert spread["diverse"] > spread["random"] + 5


def test_rejects_are_counted_by_reason_and_new_draws_are_asked_for(schema):
    good = writes_rows(schema)
    answers = itertools.cycle(["not at all", "63 years,1,1,1,f,medical,1,0", None, None])

    def answer(body, choice):
        return next(answers) or good(body, choice)

    with Endpoint(answer) as endpoint:
        generator = ZeroShot(group(endpoint), shuffle=False)
        table = generator.fit(view(*specimen(), generator), 1).sample(20, 2)
    facts = generator.details()["llm"]
    assert len(table) == 20
    assert facts["rejects"]["no row"] > 0
    assert facts["rejects"]["not a number"] > 0
    assert facts["rows_read"] == sum(facts["rejects"].values()) + 20
    assert facts["tokens_per_valid_row"] == pytest.approx(
        (facts["prompt_tokens"] + facts["completion_tokens"]) / 20, abs=0.01
    )


def test_a_model_that_writes_nonsense_ends_soon_with_the_reasons(schema):
    with Endpoint(lambda body, choice: "I would rather not.") as endpoint:
        generator = ZeroShot(group(endpoint, max_rejects=10))
        with pytest.raises(UserError, match=r"no valid row.*no row: \d+"):
            generator.fit(view(*specimen(), generator), 1).sample(500, 2)
        assert len(endpoint.bodies) <= 16


def test_a_model_that_stops_writing_rows_leaves_what_it_wrote(schema):
    with Endpoint(writes_rows(schema)) as endpoint:
        generator = ZeroShot(group(endpoint, concurrency=1, max_rejects=8))
        good = endpoint.answer
        endpoint.answer = lambda body, choice: good(body, choice) if len(endpoint.bodies) <= 3 else "no"
        table = generator.fit(view(*specimen(), generator), 1).sample(100, 2)
    assert len(table) == 12
    assert "held no valid row" in generator.details()["llm"]["ended"]


def test_refusals_are_counted_as_such(schema):
    with Endpoint(writes_rows(schema)) as endpoint:
        endpoint.script.append(says("", "", "", "", refusal="I cannot help with that."))
        generator = ZeroShot(group(endpoint, concurrency=1))
        table = generator.fit(view(*specimen(), generator), 1).sample(8, 2)
    assert len(table) == 8
    assert generator.details()["llm"]["rejects"] == {"refusal": 4}


def test_more_rows_than_asked_are_not_taken(schema):
    """A reply that runs on would weigh more than the others."""
    with Endpoint(writes_rows(schema, rows=3)) as endpoint:
        generator = ZeroShot(group(endpoint))
        generator.fit(view(*specimen(), generator), 1).sample(8, 2)
    assert generator.details()["llm"]["rejects"] == {"more rows than asked": 16}


def test_several_rows_a_reply(schema):
    with Endpoint(writes_rows(schema, rows=5)) as endpoint:
        generator = ZeroShot(group(endpoint, rows_per_reply=5, draws=2))
        table = generator.fit(view(*specimen(), generator), 1).sample(23, 2)
        assert len(endpoint.bodies) == 3
    assert len(table) == 23


def test_the_deadline_ends_a_cell_with_the_rows_that_it_has(schema):
    with Endpoint(writes_rows(schema), delay=0.15) as endpoint:
        generator = ZeroShot(group(endpoint, concurrency=1, cell_seconds=1))
        table = generator.fit(view(*specimen(), generator), 1).sample(200, 2)
    assert 4 <= len(table) < 40
    assert "cell_seconds" in generator.details()["llm"]["ended"]


def often_wrong(schema):
    """Valid rows, but none in every third reply or so: which ones is the seed's to say."""
    good = writes_rows(schema)
    return lambda body, choice: "no" if (body["seed"] + choice) % 3 == 0 else good(body, choice)


def replayed(generator, n, folder):
    """The rows of the same generator from its transcript alone, and what it says of them."""
    (content,) = generator.attachments().values()
    (folder / "one.transcript.jsonl.gz").write_bytes(content)
    again = type(generator)({"endpoint": "replay", "transcript": str(folder), "max_rejects": 10**6})
    return again.fit(view(*specimen(), again), 1).sample(n, 2), again.details()["llm"]


@pytest.mark.parametrize("max_rejects", [50, 1])
def test_how_many_requests_are_under_way_does_not_change_the_rows(schema, tmp_path, max_rejects):
    """Nor does a replay, which knows nothing of it."""
    tables = []
    for concurrency in (1, 3, 20):
        with Endpoint(often_wrong(schema)) as endpoint:
            generator = ZeroShot(group(endpoint, draws=2, concurrency=concurrency, max_rejects=max_rejects))
            tables.append(generator.fit(view(*specimen(), generator), 1).sample(60, 2))
    facts = generator.details()["llm"]
    assert facts["rejects"]["no row"] > 0
    assert (len(tables[0]) < 60) == (max_rejects == 1) == ("ended" in facts)
    again, said = replayed(generator, 60, tmp_path)
    for table in (*tables[1:], again):
        pd.testing.assert_frame_equal(tables[0], table)
    assert said["rejects"] == facts["rejects"]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_cell_that_met_its_deadline_can_be_replayed(schema, tmp_path, concurrency):
    slow, answer = itertools.cycle([0.08, 0.0, 0.02]), often_wrong(schema)

    def late(body, choice):
        time.sleep(next(slow))
        return answer(body, choice)

    with Endpoint(late) as endpoint:
        generator = ZeroShot(group(endpoint, concurrency=concurrency, cell_seconds=0.8))
        table = generator.fit(view(*specimen(), generator), 1).sample(400, 2)
    assert 4 <= len(table) < 200
    again, said = replayed(generator, 400, tmp_path)
    pd.testing.assert_frame_equal(table, again)
    assert said["ended"] == generator.details()["llm"]["ended"]


def test_a_card_that_was_read_off_private_rows_stays_here_as_they_do(tmp_path):
    """Its bounds are the rows' extremes and its codes may be one patient's."""
    rows = pd.DataFrame(
        {"age": [*range(40, 90)] * 2, "village": ["Oberdorf"] * 99 + ["Hintertal"], "died": [0, 1] * 50}
    )
    rows.to_csv(tmp_path / "mine.csv", index=False)
    source = {"_target_": "synthward.benchmarks.sources.file.read", "path": str(tmp_path / "mine.csv")}
    dataset = load_dataset({"name": "mine", "source": source, "target": "died"})
    assert dataset.card.sharing == "local-only"
    settings = {"endpoint": "openai", "model": "m", "base_url": "https://llm.example.org/v1"}
    generator = ZeroShot(settings)
    assert "statistics of a local-only table would be sent to llm.example.org" in generator.refuses(dataset.card)
    seen = TrainView(dataset.schema, dataset.split(Protocol()), generator.access, dataset.card)
    with pytest.raises(UserError, match="local-only"):
        generator.fit(seen, 1).sample(2, 2)
    assert ZeroShot(settings | {"allow_remote": True}).refuses(dataset.card) is None
    corrected = dataset.card.model_copy(update={"inferred": False})
    assert generator.refuses(corrected) is None


def test_the_identity_holds_the_model_and_not_the_way_to_it():
    near = {"endpoint": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", "concurrency": 2, "cache": "/x"}
    far = near | {"base_url": "https://elsewhere.example/v1", "concurrency": 9, "cache": None, "max_tokens": 5}
    assert ZeroShot.defining({"llm": near, "shuffle": True}) == ZeroShot.defining({"llm": far, "shuffle": True})
    assert ZeroShot.defining({"llm": near}) != ZeroShot.defining({"llm": near | {"temperature": 0.5}})
    assert "elsewhere" not in str(ZeroShot.defining({"llm": far}))


def test_a_local_only_table_is_refused_before_a_byte_leaves(schema):
    _, split = specimen()
    with Endpoint(writes_rows(schema)) as endpoint:
        # A spelling of this machine's address that is not on the list of those: it counts as elsewhere.
        away = endpoint.url.replace("127.0.0.1", "127.1")
        for writer in (Statistics, FewShot):
            generator = writer(group(endpoint, base_url=away))
            assert "llm.allow_remote=true" in generator.refuses(card(schema, sharing="local-only"))
            with pytest.raises(UserError, match="local-only"):
                generator.fit(view(schema, split, generator, sharing="local-only"), 1).sample(2, 2)
        assert endpoint.received == []
        for generator, sharing in (
            (Statistics(group(endpoint, base_url=away, allow_remote=True)), "local-only"),
            (Statistics(group(endpoint, base_url=away)), "public"),
            (ZeroShot(group(endpoint, base_url=away)), "local-only"),
            (FewShot(group(endpoint)), "local-only"),
        ):
            assert generator.refuses(card(schema, sharing=sharing)) is None
            generator.fit(view(schema, split, generator, sharing=sharing), 1).sample(2, 2)
        assert len(endpoint.bodies) == 4


@pytest.mark.parametrize("name", ["icu", "pbc", "nhefs", "covid"])
def test_an_estimate_is_near_what_a_run_costs(name):
    card = yaml.safe_load((resources.files("synthward.conf") / "dataset" / f"{name}.yaml").read_text())
    dataset = load_dataset(card)
    with Endpoint(writes_rows(dataset.schema)) as endpoint:
        for writer in WRITERS:
            endpoint.received.clear()
            generator = writer(group(endpoint))
            seen = TrainView(dataset.schema, dataset.split(Protocol()), generator.access, dataset.card)
            planned = generator.estimate(seen, 30)
            assert not endpoint.received
            generator.fit(seen, 1).sample(30, 2)
            said = prompts(endpoint)
            assert planned.calls <= len(said) <= 2 * planned.calls
            assert 0.5 < sum(map(len, said)) / 3 / planned.prompt_tokens < 2.5


def test_a_dictionary_line_says_all_and_without_meanings_only_the_values(schema):
    assert describe(schema["age"]) == "age at admission, years, a whole number from 18 to 95"
    assert describe(schema["age"], meaning=False) == "a whole number from 18 to 95"
    assert describe(schema["sex"]) == "one of: f (female), m (male)"
    assert describe(schema["stage"], meaning=False) == "in this order one of: 1, 2, 3, 4"


def test_the_identity_of_an_own_model_is_its_content_and_not_its_place(tmp_path):
    facts = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "own.gguf").write_bytes(b"GGUF and so on")
        llm = {"endpoint": "embedded", "model": str(tmp_path / place / "own.gguf"), "draws": 1}
        facts.append(ZeroShot.defining({"llm": llm}))
    assert facts[0] == facts[1]
    assert facts[0]["llm"]["model"] == "own.gguf"
    assert len(facts[0]["llm"]["digest"]) == 64
