"""Generators that let a language model write rows: the contract, and what a prompt tells."""

import itertools
import re
import time
from contextlib import suppress
from functools import partial
from importlib import resources

import numpy as np
import pandas as pd
import pytest
import yaml
from llm_endpoint import Endpoint, says
from llm_rows import group, writes_rows
from synthward.benchmarks.columns import Column
from synthward.benchmarks.dataset import DatasetCard, Protocol, Split
from synthward.benchmarks.schema import Rule, TableSchema
from synthward.benchmarks.sources import load_dataset
from synthward.generators import Access, AccessDeniedError, TrainView
from synthward.generators.checks import check_generator, specimen
from synthward.generators.llm.few_shot import FewShot
from synthward.generators.llm.formats import FORMATS
from synthward.generators.llm.prompts import constrain, describe, fictitious, gather, strongest, tell
from synthward.generators.llm.settings import LLMSettings
from synthward.generators.llm.specification import LLMSpecification
from synthward.generators.llm.statistics import Statistics
from synthward.generators.llm.zero_shot import ZeroShot
from synthward.generators.summary import Association, associate
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


def told(value):
    """Every text in a JSON value, line by line."""
    if isinstance(value, str):
        return value.splitlines()
    inside = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [line for each in inside for line in told(each)]


def rows_told(make, structure, schema):
    """Train rows of which one line of what is sent holds two values, where every row has its own."""
    _, split = specimen()
    rng = np.random.default_rng(0)
    own = {"creatinine": 0.2 + rng.permutation(len(split.train)) * 0.07, "bilirubin": rng.permutation(len(split.train))}
    train = split.train.assign(creatinine=own["creatinine"].round(2), bilirubin=(0.1 + own["bilirubin"] * 0.3).round(1))
    with Endpoint(writes_rows(schema)) as endpoint:
        generator = make(group(endpoint, format="json", structure=structure) | {"endpoint": "llama_cpp"})
        with suppress(UserError):  # rows are no specification
            generator.fit(view(schema, Split(train, split.control, split.test), generator), 1).sample(20, 2)
        assert ("response_format" in endpoint.bodies[0]) == (structure == "json_schema")
        lines = [set(map(float, re.findall(r"[0-9]+\.[0-9]+", line))) for line in told(endpoint.bodies)]
    return [
        row for row in map(set, train[["creatinine", "bilirubin"]].to_numpy()) if any(row <= line for line in lines)
    ]


@pytest.mark.parametrize("structure", ["grammar", "json_schema"])
def test_no_row_is_sent_below_the_examples_tier(structure, schema):
    for make in (ZeroShot, Statistics, partial(LLMSpecification, access=Access.STATISTICS)):
        assert rows_told(make, structure, schema) == []
    assert len(rows_told(FewShot, structure, schema)) > 10  # so that it would be seen


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
        ("prior_knowledge", "this database"),
        ("dictionary", "bilirubin is above"),
        ("example", "a fictitious example"),
    ],
)
def test_every_block_of_the_prompt_can_be_left_out(block, text, schema):
    said = []
    for flag in (True, False):
        with Endpoint(writes_rows(schema)) as endpoint:
            generator = ZeroShot(group(endpoint), **{block: flag})
            generator.fit(view(ruled(schema), specimen()[1], generator), 1).sample(1, 2)
            said += prompts(endpoint)
    assert text in said[0]
    assert text not in said[1]
    assert sorted(schema.names) in [sorted(line.split(",")) for line in said[1].splitlines()], "no header"


def ruled(schema):
    """The schema with a rule that most rows obey."""
    rule = {"name": "of use here alone", "left": "bilirubin", "op": ">", "right": 0.1}
    return schema.model_copy(update={"rules": (Rule(**rule),)})


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
        for dictionary in (True, False):
            generator = Statistics(group(endpoint), threshold=0.3, dictionary=dictionary)
            generator.fit(view(schema, split, generator), 1).sample(1, 2)
        prompt, terse = prompts(endpoint)
    age, female = split.train["age"], (split.train["sex"] == "f").mean()
    assert f"- age: age at admission, years, whole number from 18 to 95; mean {age.mean():.1f}, SD " in prompt
    assert f"- age: whole number from 18 to 95; mean {age.mean():.1f}, SD " in terse
    assert f"- sex: f (female) {female:.1%}, m (male) {1 - female:.1%}" in prompt
    assert f"- sex: f {female:.1%}, m {1 - female:.1%}" in terse
    assert [line.partition(":")[0] for line in prompt.splitlines()].count("- age") == 1
    r = age.corr((split.train["died"] == "1").astype(float))
    assert abs(r) > 0.3
    assert re.search(rf"- (age with .*died=1|died=1 with .*age) {re.escape(f'{r:+.2f}')}", prompt)
    told = re.findall(r"[+-]0\.\d\d", prompt.partition("Correlations")[2])
    assert told
    assert min(abs(float(r)) for r in told) >= 0.3


def test_statistics_say_how_many_correlations_they_leave_out(schema):
    _, split = specimen()
    said = []
    for most in (2, 99):
        with Endpoint(writes_rows(schema)) as endpoint:
            generator = Statistics(group(endpoint), threshold=0.1, most_pairs=most)
            generator.fit(view(schema, split, generator), 1).sample(1, 2)
            said += prompts(endpoint)
    pairs = len(strongest(TrainView(schema, split, Statistics.access).associations(), 0.1))
    assert 2 < pairs < 99
    assert f"Correlations in the real patients, the 2 strongest of {pairs}:" in said[0]
    assert "Correlations in the real patients:" in said[1]
    assert len(re.findall(r"[+-]0\.\d\d", said[1].partition("Correlations")[2])) == pairs


def test_correlations_that_chance_explains_are_not_told():
    """One is told if it lies beyond two standard errors in the rows in which both columns are known."""
    known = {
        ("a", "b"): Association(0.25, 100),
        ("a", "c"): Association(-0.25, 60),
        ("b", "c"): Association(0.1, 10**6),
    }
    assert strongest(known, 0.2) == [("a", "b", 0.25)]
    assert strongest(known, 0.2, errors=0) == [("a", "b", 0.25), ("a", "c", -0.25)]
    assert len(strongest(known, 0.0)) == 2
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(rng.normal(size=(80, 25)), columns=[f"x{i}" for i in range(25)])
    noise.iloc[:40, 0] = np.nan
    card = TableSchema.model_validate({"columns": {c: {"kind": "continuous"} for c in noise}})
    found = associate(noise, card)
    assert found["x0", "x1"].n == 40
    assert found["x1", "x2"].n == 80
    assert found["x0", "x1"].r == pytest.approx(noise["x0"].corr(noise["x1"]))
    assert len(strongest(found, 0.0)) / len(found) == pytest.approx(0.05, abs=0.03)


def test_associations_are_those_of_pandas_and_the_strongest_come_first(schema):
    _, split = specimen()
    told = TrainView(schema, split, Statistics.access).associations()
    expected = split.train["age"].corr(split.train["creatinine"])
    assert told["age", "creatinine"].r == pytest.approx(expected)
    assert told["age", "ward=surgical"].r == pytest.approx(
        split.train["age"].corr((split.train["ward"] == "surgical").where(split.train["ward"].notna()).astype(float))
    )
    sizes = [abs(r) for _, _, r in strongest(told, 0.0)]
    assert sizes == sorted(sizes, reverse=True)


def test_associations_gathered_by_column_are_the_same_pairs(schema):
    pairs = strongest(TrainView(schema, specimen()[1], Statistics.access).associations(), 0.0)
    lines = [line.partition(" with ") for line in gather(pairs, schema)]
    told = [{first, *other.rsplit(" ", 1)} for first, _, others in lines for other in others.split(", ")]
    names = {c.name: f"{c.name}={list(c.codes)[-1]}" if len(c.codes) == 2 else c.name for c in schema.columns}
    assert len(lines) < len(pairs) == len(told)
    assert all({names.get(a, a), names.get(b, b), f"{r:+.2f}"} in told for a, b, r in pairs)


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
    assert describe(schema["age"]) == "age at admission, years, whole number from 18 to 95"
    assert describe(schema["age"], meaning=False) == "whole number from 18 to 95"
    assert describe(schema["sex"]) == "f (female) or m (male)"
    assert describe(schema["stage"], meaning=False) == "in order 1, 2, 3 or 4"
    assert describe(schema["albumin"], gaps=True) == "number from 1 to 6, may be missing"
    assert describe(schema["age"], gaps=True) == describe(schema["age"])


def test_what_says_no_more_than_the_name_is_not_told():
    def column(**facts):
        return Column(**{"name": "race", "kind": "categorical", "meaning": "race"} | facts)

    assert describe(column(codes={"White": "white", "Other": "other"})) == "White or Other"
    assert describe(column(codes={"No": "no", "Yes": "yes, or unknown"})) == "No or Yes (yes, or unknown)"
    assert describe(column(codes={"+": "positive", "-": "negative"})) == "+ (positive) or - (negative)"
    assert describe(column(meaning="race, as told", codes={"a": ""})) == "race, as told: a"
    assert describe(column(codes={"a, b": "", "c": ""})) == '"a, b" or c'
    schooling = {"name": "educ", "kind": "integer", "meaning": "years of schooling", "unit": "years"}
    assert describe(column(**schooling, bounds=(0, 1e6))) == "years of schooling, whole number from 0 to 1000000"


def test_numbers_are_told_to_about_a_hundredth_of_the_sd():
    def told(mean, sd, quantiles, **facts):
        column = Column(**{"name": "x", "kind": "continuous"} | facts)
        return tell(column, {"mean": mean, "sd": sd, "quantiles": quantiles, "missing": 0.0})

    assert told(1718.4, 1941.7, [558.4, 853.5, 1165.2, 1774.0, 3875.1]) == (
        "mean 1720, SD 1940, median 1170, half from 850 to 1770, 90% from 560 to 3880"
    )
    assert told(1957.234, 12.3456, [1938, 1949.5, 1957, 1965, 1977], kind="integer") == (
        "mean 1957.2, SD 12.3, median 1957, half from 1950 to 1965, 90% from 1938 to 1977"
    )
    assert told(3.4689, 0.46123, [2.6391, 3.19, 3.5, 3.76, 4.2142], decimals=2).startswith("mean 3.469, SD 0.461, ")
    assert told(5.0, 0.0, [5.0] * 5).startswith("mean 5, SD 0, median 5, ")


def test_a_rare_code_is_not_said_to_be_absent():
    column = Column(name="x", kind="ordinal", meaning="stage of it", codes={"1": "early", "2": "", "3": ""})
    facts = {"shares": {"1": 0.9996, "2": 0.0004}, "missing": 0.25}
    assert describe(column, facts=facts) == "stage of it: in order 1 (early) 100%, 2 <0.1%, 3 0%"
    assert tell(column, facts) == "1 100%, 2 <0.1%; missing in 25%"


def test_codes_that_look_like_operators_are_quoted_in_correlations():
    columns = {"po2": [">60", "<=60"], "ph": [">=7.25", "<7.25"], "type": ["I", "II b", "III"]}
    card = TableSchema.model_validate({"columns": {k: {"kind": "categorical", "codes": v} for k, v in columns.items()}})
    known = {("po2", "ph"): Association(0.66, 200), ("po2", "type=II b"): Association(-0.5, 200)}
    assert gather(strongest(known, 0.2), card) == ['po2="<=60" with ph="<7.25" +0.66, type="II b" -0.50']


def test_rules_are_told_in_words():
    card = TableSchema.model_validate(
        {
            "columns": {
                "age": {"kind": "integer", "bounds": [18, 90]},
                "dbp": {"kind": "integer", "bounds": [30, 180]},
                "sbp": {"kind": "integer", "bounds": [60, 300]},
                "meno": {"kind": "categorical", "codes": [0, 1]},
                "group": {"kind": "categorical", "codes": ["CHF", "Lung Cancer", "Coma"]},
                "class": {"kind": "categorical", "codes": ["chronic", "cancer"]},
                "day": {"kind": "categorical", "codes": [0, 1]},
                "month": {"kind": "categorical", "codes": [0, 1]},
            },
            "rules": [
                {"name": "a", "left": "dbp", "op": "<", "right": "sbp"},
                {"name": "b", "left": "age", "op": "<=", "right": 65, "when": {"meno": 0}},
                {"name": "c", "left": "class", "op": "==", "right": "chronic", "when": {"group": "CHF"}},
                {"name": "d", "left": "class", "op": "==", "right": "chronic", "when": {"group": "Coma"}},
                {"name": "e", "left": "class", "op": "!=", "right": "chronic", "when": {"group": "Lung Cancer"}},
                {"name": "f", "left": "month", "op": "==", "right": "day", "when": {"day": 1}},
            ],
        }
    )
    assert constrain(card.rules, card) == [
        "dbp is below sbp",
        "age is at most 65 if meno is 0",
        "class is chronic if group is CHF or group is Coma",
        'class is not chronic if group is "Lung Cancer"',
        "month is 1 if day is 1",
    ]


@pytest.mark.parametrize(
    ("settings", "rows", "ending"),
    [
        ({}, 1, "Write 1 new patient as a CSV line with the values in the order of the columns, without the header. "),
        (
            {},
            3,
            "Write 3 new patients as CSV lines with the values in the order of the columns, each on a line of its ",
        ),
        ({"format": "json"}, 1, "Write 1 new patient as a JSON object with the columns as keys. Write only that "),
        ({"format": "array"}, 2, "Write 2 new patients as JSON arrays with the values in the order of the columns, "),
        (
            {"format": "json", "structure": "json_schema"},
            3,
            'as one JSON object {"rows": [...]} that lists 3 JSON objects with the columns as keys. ',
        ),
        (
            {"format": "array", "structure": "json_schema"},
            1,
            'as one JSON object {"rows": [...]} that lists 1 JSON array with the values in the order of the columns. ',
        ),
    ],
)
def test_the_prompt_asks_for_what_the_form_lets_through(settings, rows, ending, schema):
    with Endpoint(writes_rows(schema, format=settings.get("format", "csv"), rows=rows)) as endpoint:
        generator = ZeroShot(group(endpoint, **settings, rows_per_reply=rows, draws=1))
        table = generator.fit(view(*specimen(), generator), 1).sample(rows, 2)
        (prompt,) = prompts(endpoint)
    assert ending in prompt.splitlines()[-1]
    assert len(table) == rows


def test_csv_has_no_json_schema_to_hold_it():
    with pytest.raises(UserError, match=r"^llm: format=csv has no JSON schema: .* llm.format=json") as error:
        LLMSettings.parse({"endpoint": "openai", "model": "m", "format": "csv", "structure": "json_schema"})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("format", "gap"), [("csv", "an empty field"), ("json", "null"), ("array", "null")])
def test_examples_come_with_what_a_gap_looks_like_and_are_not_to_be_repeated(format, gap, schema):
    said = {}
    for writer in (FewShot, ZeroShot):
        with Endpoint(writes_rows(schema, format=format)) as endpoint:
            generator = writer(group(endpoint, format=format))
            generator.fit(view(*specimen(), generator), 1).sample(1, 2)
            (said[writer],) = prompts(endpoint)
    assert f"in this order; {gap} is a missing value:" in said[FewShot]
    assert "xamples of real rows, not to be repeated:" in said[FewShot]
    assert "in this order, none of them missing:" in said[ZeroShot]
    gappy = {c.name for c in schema.columns if c.missing}
    assert {line[2:].partition(":")[0] for line in said[FewShot].splitlines() if "may be missing" in line} == gappy
    assert "may be missing" not in said[ZeroShot]


def test_a_shown_row_is_rounded_as_the_form_would_have_it(schema):
    _, split = specimen()
    rough = [part.assign(bilirubin=part["bilirubin"] + 0.0123456789) for part in (split.train, split.control)]
    with Endpoint(writes_rows(schema)) as endpoint:
        generator = FewShot(group(endpoint))
        generator.fit(view(schema, Split(*rough, split.test), generator), 1).sample(1, 2)
        (prompt,) = prompts(endpoint)
    assert not re.search(r"\.\d{3}", prompt)


def test_a_description_that_is_a_placeholder_is_not_sent(tmp_path):
    rows = pd.DataFrame({"age": [*range(40, 90)] * 2, "died": [0, 1] * 50})
    rows.to_csv(tmp_path / "mine.csv", index=False)
    source = {"_target_": "synthward.benchmarks.sources.file.read", "path": str(tmp_path / "mine.csv")}
    for more, start in (({}, "mine."), ({"description": "Adults on a ward"}, "mine. Adults on a ward.")):
        dataset = load_dataset({"name": "mine", "source": source, "target": "died", **more})
        with Endpoint(writes_rows(dataset.schema)) as endpoint:
            generator = ZeroShot(group(endpoint))
            seen = TrainView(dataset.schema, dataset.split(Protocol()), generator.access, dataset.card)
            generator.fit(seen, 1).sample(1, 2)
            (prompt,) = prompts(endpoint)
        assert "inferred" not in prompt
        assert prompt.startswith(f"{start}\n\nInvent")


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
