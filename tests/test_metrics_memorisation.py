"""What a language model knows by heart, and what it copies from its prompt, is found at its rate and never invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_tables import WARD, evaluation, subset, ward
from synthward.benchmarks.schema import TableSchema
from synthward.metrics import Evaluation, get
from synthward.metrics.privacy.memorisation import CsvText, memorisation
from synthward.results.record import Measurement, Status

TESTS = ("header", "row_completion", "first_token", "feature_completion")


def measure(name: str, evaluated: Evaluation) -> dict[str, Measurement]:
    return {m.variant: m for m in get(name).measure(evaluated)}


class Model:
    """Answers the last message of a conversation by a function, and keeps what it was asked."""

    def __init__(self, answer: Callable[[str, str], str | None]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def complete(
        self,
        prompts: Sequence[Sequence[Mapping[str, str]]],
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str | None]:
        assert temperature == 0
        assert [m["role"] for m in prompts[0]] == ["system", "user", "assistant", "user"]
        self.asked += [p[-1]["content"] for p in prompts]
        replies = [self.answer(p[0]["content"], p[-1]["content"]) for p in prompts]
        return [reply if reply is None else reply[: 4 * max_tokens] for reply in replies]


def by_heart(text: CsvText) -> Callable[[str, str], str]:
    """Knows the file, and finds the place in it that it is asked about."""
    whole = "\n".join(text.lines)

    def answer(system: str, question: str) -> str:
        if "name = value" not in system:
            start = whole.index(question) + len(question)
            return whole[start:].removeprefix("\n")
        name = question.rpartition("\n")[2].removesuffix(" = ?")
        shown = set(question.partition("\n")[0].split(", "))
        for row in text.cells:
            pairs = [f"{n} = {v}" for n, v in zip(text.names, row, strict=True)]
            if shown == set(pairs) - {f"{name} = {row[text.names.index(name)]}"}:
                return f"{name} = {row[text.names.index(name)]}"
        raise AssertionError(question)

    return answer


def by_marginals(text: CsvText) -> Callable[[str, str], str]:
    """Knows the commonest row, first characters and value of every column."""
    rows = Counter(text.rows).most_common(1)[0][0]
    columns = {
        name: Counter(v for v in values if v).most_common(1)[0][0]
        for name, values in zip(text.names, zip(*text.cells, strict=True), strict=True)
    }

    def answer(system: str, question: str) -> str:
        if "name = value" not in system:
            return rows
        name = question.rpartition("\n")[2].removesuffix(" = ?")
        return f"{name} = {columns[name]}"

    return answer


def asked(answer: Callable[[str, str], str | None], source: pd.DataFrame, seed: int = 0) -> dict[str, Measurement]:
    evaluated = replace(evaluation(ward(20, 4)), model=Model(answer), source=source, seed=seed)
    return measure("memorisation", evaluated)


SOURCE = ward(300, 7)
TEXT = CsvText.of(SOURCE)


def test_a_model_that_knows_the_table_passes() -> None:
    found = asked(by_heart(TEXT), SOURCE)
    assert tuple(found) == TESTS
    for test in TESTS:
        assert found[test].status is Status.OK
        assert found[test].value == 1, test
        assert found[test].breakdown["baseline"] < 0.5
    assert [found[test].n for test in TESTS] == [4, 25, 25, 25]


def test_a_model_that_knows_the_marginals_reaches_the_baseline() -> None:
    """On a table of few distinct values, where the marginals tell something."""
    source = SOURCE[["stage", "sex"]]
    found = asked(by_marginals(CsvText.of(source)), source)
    for test in ("row_completion", "feature_completion"):
        assert 0 < found[test].value == found[test].breakdown["baseline"], test
    assert 0 < found["first_token"].value <= found["first_token"].breakdown["baseline"]
    assert found["header"].value == 0


def test_sorted_rows_raise_the_baseline() -> None:
    """The first characters of the row before tell those of the next one without any memory."""
    plain = asked(by_marginals(TEXT), SOURCE)["first_token"].breakdown["baseline"]
    source = SOURCE.sort_values("age", ignore_index=True)
    assert asked(by_marginals(CsvText.of(source)), source)["first_token"].breakdown["baseline"] > plain + 0.3


GARBAGE = st.one_of(
    st.none(),
    st.text(max_size=200),
    st.sampled_from(["", "\n\n", ",,,,,,,", "nan", '"', "lactate =", "\x00", "I cannot"]),
)


@given(st.lists(GARBAGE, min_size=1, max_size=20))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_garbage_is_no_memory(replies: list[str | None]) -> None:
    """And no reply, however odd, breaks a test; one that is missing counts neither way."""
    count = iter(range(10**6))
    for test, found in asked(lambda *_: replies[next(count) % len(replies)], SOURCE).items():
        assert found.status is not Status.ERROR, found.reason
        if test in ("header", "row_completion"):
            assert not found.value
        if found.value is None:
            assert "no reply" in found.reason


def test_missing_replies_are_left_out_and_said() -> None:
    heart, count = by_heart(TEXT), iter(range(10**6))
    found = asked(lambda *q: None if next(count) % 5 == 0 else heart(*q), SOURCE)["row_completion"]
    assert (found.status, found.value, found.n) == (Status.PARTIAL, 1, 20)
    assert "5 of 25" in found.reason


def test_too_few_or_odd_replies_are_missing_ones() -> None:
    class Short:
        def complete(self, prompts, max_tokens, temperature=0.0, seed=0):
            return [b"bytes", 7][: len(prompts) - 1]

    found = measure("memorisation", replace(evaluation(ward(20, 4)), model=Short(), source=SOURCE))
    assert {m.value for m in found.values()} == {None}
    assert all("no reply" in m.reason for m in found.values())


def test_questions_depend_on_the_table_alone() -> None:
    """So that the cells of a dataset, whatever their seeds, ask the same and share the replies."""
    models = [Model(lambda *_: "") for _ in range(3)]
    for seed, model in enumerate(models[:2]):
        memorisation.measure(replace(evaluation(ward(50, seed)), seed=seed, model=model, source=SOURCE))
    memorisation.measure(replace(evaluation(ward(50)), model=models[2], source=ward(300, 8)))
    assert models[0].asked == models[1].asked
    assert models[0].asked != models[2].asked
    assert len(models[0].asked) <= 54
    assert max(map(len, models[0].asked)) <= 2400


def test_numbers_are_compared_as_numbers() -> None:
    heart = by_heart(TEXT)
    found = asked(
        lambda system, q: ",".join(f"{c}.0" if c.isdigit() else c for c in heart(system, q).split(",")), SOURCE
    )
    assert found["row_completion"].value == 1


def test_cells_without_a_model_say_so() -> None:
    (found,) = measure("memorisation", evaluation(ward(20, 4))).values()
    assert (found.status, found.value) == (Status.UNSUPPORTED, None)
    assert "language model" in found.reason
    few = replace(evaluation(ward(20, 4)), model=Model(lambda *_: ""), source=SOURCE.head(5))
    assert "too few" in measure("memorisation", few)[""].reason


@pytest.mark.parametrize("names", [["died"], ["lactate"], ["sex", "unit", "stage", "died"]])
def test_any_schema_is_measured_or_explained(names: list[str]) -> None:
    evaluated = evaluation(ward(20, 4), subset(WARD, names))
    for source in (SOURCE[names], SOURCE[names].iloc[:9], SOURCE[names].assign(**{names[0]: None})):
        source = evaluated.schema.canonical(source)
        for found in measure("memorisation", replace(evaluated, model=Model(lambda *_: "1"), source=source)).values():
            assert found.status is not Status.ERROR, found.reason
            assert found.value is not None or found.reason


# Copies of the rows in the prompt


def copied(synthetic: pd.DataFrame, train: pd.DataFrame, shown: Sequence[int], **tables: pd.DataFrame) -> dict:
    evaluated = evaluation(synthetic, train=train, **tables)
    return {v: m.value for v, m in measure("example_copying", replace(evaluated, shown=tuple(shown))).items()}


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_planted_copies_are_found_at_their_rate(rate: float) -> None:
    """Exact ones, ones with a number moved by less than 1 %, and none of train rows that were not shown."""
    n = 400
    train, synthetic, planted = ward(n, 1), ward(n, 4), int(rate * 400)
    shown = list(range(50))
    assert max(copied(synthetic, train, shown).values()) < 0.01
    rows = train.iloc[np.resize(shown, planted)]
    exact = pd.concat([rows, synthetic.iloc[planted:]], ignore_index=True)
    found = copied(exact, train, [*shown, *shown])
    assert found["shown"] == found["exact"] == pytest.approx(rate, abs=0.01)
    assert found["control"] < 0.01

    moved = exact.copy()
    moved.loc[: planted - 1, "age"] *= 1.004
    found = copied(moved, train, shown)
    assert found["shown"] == pytest.approx(rate, abs=0.01)
    assert found["exact"] < 0.01
    assert max(copied(exact, train, range(50, 100)).values()) < 0.01


def test_a_copy_of_a_row_that_was_rounded_for_the_prompt_is_found() -> None:
    """Where the card gives no decimals, a number in a prompt may lie further than 1 % from that of the train row."""
    lactate = WARD["lactate"].model_copy(update={"bounds": (0.0, 900.0)})
    assert lactate.places == 1
    schema = TableSchema(columns=(lactate, WARD["sex"]))
    rng = np.random.default_rng(1)
    low, high = (
        pd.DataFrame({"lactate": rng.uniform(a, a + 1, 100), "sex": rng.choice(["f", "m"], 100)}) for a in (0.1, 700)
    )
    copies = low.assign(lactate=low["lactate"].round(1))
    made = pd.concat([copies.head(40), high.head(60)], ignore_index=True).astype({"sex": object})
    evaluated = evaluation(made, schema, train=low, control=high + {"lactate": 100, "sex": ""}, test=high)
    found = measure("example_copying", replace(evaluated, shown=tuple(range(40))))
    assert {v: m.value for v, m in found.items()} == {"shown": 0.4, "exact": 0.4, "control": 0.0}


def test_chance_is_what_as_many_control_rows_give() -> None:
    """On a table of labels alone, where rows meet by chance, the shares of shown and control rows agree."""
    schema = subset(WARD, ["sex", "unit", "stage", "died"])
    names = list(schema.names)
    gaps = []
    for seed in range(20):
        tables = {part: ward(100, 10 * seed + i)[names] for i, part in enumerate(("train", "control", "test"))}
        evaluated = replace(evaluation(ward(100, 10 * seed + 5), schema, **tables), shown=tuple(range(15)))
        found = measure("example_copying", evaluated)
        assert 0.1 < found["control"].value < 0.9
        gaps.append(found["shown"].value - found["control"].value)
    assert np.mean(gaps) == pytest.approx(0, abs=0.06)


def test_order_of_rows_and_columns_and_repeats_do_not_matter() -> None:
    schema = subset(WARD, ["sex", "unit", "stage", "died"])
    backwards = subset(WARD, ["died", "stage", "unit", "sex"])
    train, control = ward(80, 1), ward(90, 2)
    mixed = control.sample(frac=1, random_state=1).reset_index(drop=True)
    values = []
    for card, rows in ((schema, control), (backwards, mixed)):
        names = list(card.names)
        evaluated = evaluation(ward(100, 4), card, train=train[names], control=rows[names])
        values += [
            measure("example_copying", replace(evaluated, shown=shown))["control"].value
            for shown in ((3, 1, 4), (4, 3, 3, 1, 4, 4))
        ]
    assert len(set(values)) == 1


def test_few_control_rows_are_said() -> None:
    evaluated = replace(evaluation(ward(20, 4), control=ward(3, 2)), shown=tuple(range(10)))
    found = measure("example_copying", evaluated)["control"]
    assert found.status is Status.PARTIAL
    assert "3 control rows" in found.reason


def test_without_shown_rows_there_is_a_reason() -> None:
    for shown in ((), (-1,), (120,)):
        (found,) = measure("example_copying", replace(evaluation(ward(20, 4)), shown=shown)).values()
        assert (found.status, found.value) == (Status.UNSUPPORTED, None)
        assert "shown" in found.reason
