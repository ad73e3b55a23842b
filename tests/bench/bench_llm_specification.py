"""How fast rows are drawn from one distribution specification, after the model has written it.

Prints one line per table and exits with status 1 if the bar of 10 s is missed: 100,000 rows of

- the neurosurgical table, 12 columns, as recovered from the published study;
- a table of 20 columns of every family, all of them correlated;
- the same with a diagnosis of six classes, two of which are correlated with twelve columns.

Run: ``python tests/bench/bench_llm_specification.py``
"""

from __future__ import annotations

import sys
import time
from importlib import resources
from itertools import combinations
from pathlib import Path

import yaml
from synthward.benchmarks.dataset import DatasetCard
from synthward.benchmarks.schema import Column, TableSchema
from synthward.generators.llm.copula import sample
from synthward.generators.llm.distribution import CodeColumn, Correlation, NumberColumn, Specification
from synthward.generators.llm.margins import COUNTS, FAMILIES
from synthward.generators.llm.specification_check import validate
from synthward.generators.llm.specification_reading import read_specification

ROWS = 100_000
BAR_SECONDS = 10.0
NEUROSURGERY = Path(__file__).parents[1] / "neurosurgery_specification.json"


def neurosurgery() -> tuple[Specification, TableSchema]:
    """What the published tables were drawn from."""
    card = yaml.safe_load((resources.files("synthward.conf") / "dataset/neurosurgery.yaml").read_text())
    specification, _ = read_specification(NEUROSURGERY.read_text())
    assert specification is not None
    return specification, DatasetCard.parse(card).schema_


def every_family() -> tuple[Specification, TableSchema]:
    """Sixteen columns of numbers, two of each family, and four of codes."""
    numbers = {f"{family} {i}": family for family in FAMILIES for i in range(2)}
    codes = [f"code {i}" for i in range(4)]
    kinds = {name: "integer" if family in COUNTS else "continuous" for name, family in numbers.items()}
    schema = TableSchema(
        columns=(
            *(Column(name=name, kind=kind, bounds=(0, 100), missing=True) for name, kind in kinds.items()),
            *(Column(name=name, kind="ordinal", codes=list("abcde")) for name in codes),
        )
    )
    columns: dict[str, NumberColumn | CodeColumn] = {
        name: NumberColumn(family=family, mean=12, sd=6, missing=10) for name, family in numbers.items()
    }
    columns |= {name: CodeColumn(percent=dict.fromkeys("abcde", 20)) for name in codes}
    pairs = tuple(Correlation(a=a, b=b, r=0.2) for a, b in combinations(schema.names, 2))
    return Specification(columns=columns, correlations=pairs), schema


def diagnosis() -> tuple[Specification, TableSchema]:
    """The table of every family with classes that have no order."""
    stated, schema = every_family()
    pairs = tuple(Correlation(a=f"diagnosis={code}", b=name, r=0.2) for code in "ab" for name in schema.names[:12])
    column = CodeColumn(percent=dict(zip("abcdef", (5, 10, 15, 20, 20, 30), strict=True)))
    diagnosis = Column(name="diagnosis", kind="categorical", codes=list("abcdef"))
    return (
        Specification(columns=stated.columns | {"diagnosis": column}, correlations=stated.correlations + pairs),
        TableSchema(columns=(*schema.columns, diagnosis)),
    )


def main() -> int:
    """Print the bars; 1 if one is missed."""
    missed = False
    tables = (("neurosurgery", neurosurgery()), ("every family", every_family()), ("classes", diagnosis()))
    for name, (stated, schema) in tables:
        started = time.perf_counter()
        specification, problems = validate(stated, schema)
        assert all(problem.repaired for problem in problems), problems
        table, _ = sample(specification, schema, ROWS, 1)
        seconds = time.perf_counter() - started
        assert len(table) == ROWS
        missed |= seconds > BAR_SECONDS
        shape = f"{ROWS:,} x {len(schema.columns)}"
        print(f"{name}, {shape}, validated and sampled: {seconds:.2f} s (bar {BAR_SECONDS:.0f} s)")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
