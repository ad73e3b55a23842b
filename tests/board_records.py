"""Records made up for the tests of the leaderboard: no table stands behind them."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from synthward.leaderboard.build import write
from synthward.results.record import (
    DatasetFacts,
    GeneratorFacts,
    Measurement,
    MetricCard,
    Phase,
    Record,
    Status,
    indented_json,
    seal,
    sha256_json,
)

if TYPE_CHECKING:
    from synthward.leaderboard.board import Board


def resealed(text: str) -> str:
    """Seal the text of a record, as somebody would who knows how it is done."""
    body = text.rpartition(',\n "digest": ')[0]
    return f'{body},\n "digest": "{seal(body)}"\n}}\n'


def rewrite(path: Path, **changes: Any) -> None:
    """Change a record and seal it."""
    content = json.loads(path.read_text())
    digest = content.pop("digest")  # the last field, whatever is added
    path.write_text(resealed(indented_json(content | changes | {"digest": digest})))


PROTOCOL = {"train": 0.6, "control": 0.2, "test": 0.2, "split_seed": 0, "max_rows": 5000, "ratio": 1.0}


def card(name: str, direction: str = "max", **more: Any) -> MetricCard:
    facts = {
        "name": name,
        "family": "fidelity",
        "direction": direction,
        "definition": f"What {name} says.",
        "ideal": 1.0,
    }
    return MetricCard(**{**facts, **more})


def record(
    generator: str = "g",
    dataset: str = "d",
    seed: int = 0,
    values: dict[str, Any] | None = None,
    *,
    cards: dict[str, MetricCard] | None = None,
    status: Status = Status.OK,
    message: str = "",
    access: str = "rows",
    reference: bool = False,
    params: dict[str, Any] | None = None,
    version: str = "1",
    target: str = "",
    protocol: dict[str, Any] | None = None,
    title: str = "",
    sharing: str = "public",
    details: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
) -> Record:
    """One record. ``values`` maps metric to a value, to a measurement, or to a list of measurements."""
    measurements: list[Measurement] = []
    for metric, value in (values or {}).items():
        several = value if isinstance(value, list) else [value]
        measurements += [v if isinstance(v, Measurement) else Measurement(metric=metric, value=v) for v in several]
    cards = cards or {}
    protocol = {**PROTOCOL, **(protocol or {})}
    rows = round(300 * protocol["ratio"])
    target = target or f"synthward.generators.{generator}"
    identity = {
        "version": 1,
        "track": "synthesis",
        "dataset": f"fingerprint-{dataset}",
        "protocol": protocol,
        "generator": {"target": target, "version": version, "params": params or {}},
        "seed": seed,
        "rows": rows,
    }
    return Record(
        id=sha256_json({**identity, "name": generator})[:20],
        identity=identity,
        dataset=DatasetFacts(
            name=dataset,
            title=title,
            task="binary",
            target="died",
            sharing=sharing,
            fingerprint=f"fingerprint-{dataset}",
            n_rows=500,
            n_columns=12,
            missing_rate=0.031,
            n_train=300,
            n_control=100,
            n_test=100,
        ),
        generator=GeneratorFacts(
            name=generator, target=target, version=version, access=access, reference=reference, params=params or {}
        ),
        protocol="standard",
        seed=seed,
        rows_requested=rows,
        status=status,
        phase=Phase.DONE if status in (Status.OK, Status.PARTIAL) else Phase.FIT,
        message=message,
        measurements=tuple(measurements),
        cards={m.metric: cards.get(m.metric) or card(m.metric) for m in measurements},
        details=details or {},
        provenance=provenance or {},
    )


MEMORISATION = card(
    "memorisation",
    "min",
    family="privacy",
    ideal=0.0,
    lower=0.0,
    upper=1.0,
    ranked=False,
    definition="Share of requests that only who knows the table by heart could meet.",
    citation="Bordt et al. 2024",
)
MEMORY_TESTS = ("header", "row_completion", "first_token", "feature_completion")


def share(test: str, hits: int, n: int, baseline: float, **more: Any) -> Measurement:
    """A share of the metric ``memorisation`` with its Wilson interval."""
    z, p = 1.96, hits / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((centre + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    breakdown = {"baseline": baseline, **({"distinct": 0.62} if test == "feature_completion" else {})}
    return Measurement(
        metric="memorisation",
        variant=test,
        value=p,
        low=max(0.0, min(p, low)),
        high=min(1.0, max(p, high)),
        n=n,
        breakdown=breakdown,
        **more,
    )


def memory(hits: tuple[int, int, int, int] = (0, 0, 9, 5)) -> list[Measurement]:
    """What a model knows of a table; nothing by default."""
    asked, baselines = (4, 25, 25, 25), (0.0, 0.0, 0.36, 0.2)
    return [share(*test) for test in zip(MEMORY_TESTS, hits, asked, baselines, strict=True)]


DATASETS = {
    "pbc": ("Primary biliary cirrhosis, Mayo Clinic", 0.00),
    "rhc": ("Right heart catheterisation", -0.04),
    "support2": ("Seriously ill hospitalised adults", -0.08),
    "vlbw": ("Very low birth weight infants", -0.05),
    "heart_failure": ("Heart failure clinical records", 0.01),
    "stroke": ("Stroke prediction", -0.02),
    "whas500": ("Worcester Heart Attack Study", 0.02),
}
SMALL = {"endpoint": "embedded", "model": "smollm2-135m-instruct", "digest": "b179c952" * 8}
LARGE = {"endpoint": "embedded", "model": "qwen2.5-coder-1.5b-instruct", "digest": "cc324af0" * 8}
# Quality between the floor and the ceiling, privacy, seconds of fitting, access.
GENERATORS = {
    "real": (1.0, 0.50, 0.01, "reference", {}),
    "copy": (0.99, 1.0, 0.01, "reference", {}),
    "marginals": (0.55, 0.51, 0.02, "reference", {}),
    "uniform": (0.1, 0.49, 0.01, "description", {}),
    "llm_zero_shot": (0.45, 0.50, 95.0, "description", {"llm": SMALL}),
    "llm_few_shot": (0.55, 0.55, 140.0, "examples", {"llm": LARGE, "k": 20}),
    "gaussian_copula": (0.78, 0.51, 1.2, "rows", {}),
    "bayesian_network": (0.86, 0.53, 9.0, "rows", {}),
    "ctgan_300": (0.74, 0.52, 140.0, "rows", {"epochs": 300}),
    "ctgan_3000": (0.77, 0.53, 1390.0, "rows", {"epochs": 3000}),
    "tvae": (0.79, 0.56, 77.0, "rows", {"epochs": 300}),
    "ddpm": (0.84, 0.58, 410.0, "rows", {"n_iter": 1000}),
    "my_gan": (0.7, 0.52, 30.0, "rows", {}),
}
CARDS = {
    c.name: c
    for c in (
        card(
            "column_shapes",
            lower=0,
            upper=1,
            definition="Mean over columns of the KS or TV complement against test rows.",
        ),
        card(
            "column_pair_trends",
            lower=0,
            upper=1,
            definition="Mean over pairs of columns of the agreement of their relation.",
        ),
        card(
            "correlation_similarity",
            lower=0,
            upper=1,
            definition="Mean over numeric pairs of 1 - |difference of r| / 2.",
        ),
        card("tstr_auroc", family="utility", definition="AUROC on test rows of a learner trained on synthetic rows."),
        card("tstr_f1", family="utility", definition="F1 on test rows of a learner trained on synthetic rows."),
        card(
            "trtr_auroc",
            family="utility",
            ranked=False,
            definition="AUROC on test rows of a learner trained on real rows.",
        ),
        card(
            "duplicates",
            "min",
            family="privacy",
            ideal=0,
            definition="Share of synthetic rows equal to a training row.",
        ),
        card(
            "dcr_share",
            "target",
            family="privacy",
            ideal=0.5,
            definition="Share of synthetic rows closer to train than control.",
        ),
        card("valid_rows", family="validity", definition="Share of rows that conform to the schema."),
        card(
            "fit_seconds", "min", family="cost", ideal=0, unit="s", definition="Wall-clock seconds that fitting took."
        ),
        card("sample_seconds", "min", family="cost", ideal=0, unit="s", definition="Seconds that sampling took."),
        card("peak_memory", "min", family="cost", ideal=0, unit="MB", definition="Peak resident memory."),
    )
}


def plausible(seeds: int = 3) -> list[Record]:
    """A few hundred records such as a real sweep leaves: good, partial, failed and unsupported ones."""
    rng = random.Random(7)
    records = []
    versions = {"synthward": "0.1.0", "numpy": "2.3.1", "sdv": "2.0.1", "torch": "2.12.0+cpu"}
    source = {
        "python": "3.11.2",
        "cpu": "Some processor of a server",
        "packages": versions,
        "git": {"commit": "5202363a" * 5, "dirty": False},
    }
    for dataset, (title, ease) in DATASETS.items():
        for name, (quality, privacy, seconds, access, params) in GENERATORS.items():
            for seed in range(seeds):
                common: dict[str, Any] = {"access": access, "params": params, "title": title, "provenance": source}
                common["sharing"] = "local-only" if dataset == "whas500" else "public"
                common["reference"] = name == "uniform" or access == "reference"
                if name == "ddpm" and dataset == "support2":
                    failure = "did not finish within 1,800 s"
                    records.append(record(name, dataset, seed, status=Status.TIMEOUT, message=failure, **common))
                    continue
                if name == "my_gan" and dataset in ("rhc", "vlbw"):
                    failure = (
                        "ValueError: Input X contains NaN at column 'albumin' of the encoded table\n  (see the log)"
                    )
                    records.append(record(name, dataset, seed, status=Status.ERROR, message=failure, **common))
                    continue

                def near(value: float, spread: float = 0.012, ease: float = ease) -> float:
                    return min(1.0, max(0.0, value + ease + rng.gauss(0, spread)))

                auroc = 0.5 + 0.36 * near(quality)
                learners = [
                    Measurement(metric="tstr_auroc", variant=v, value=auroc + d)
                    for v, d in (("mean", 0), ("xgboost", 0.02))
                ]
                values: dict[str, Any] = {
                    "column_shapes": 0.5 + 0.49 * near(quality),
                    "column_pair_trends": 0.35 + 0.63 * near(quality),
                    "correlation_similarity": 0.6 + 0.39 * near(quality),
                    "tstr_auroc": learners,
                    "tstr_f1": 0.3 + 0.4 * near(quality, 0.05),
                    "trtr_auroc": 0.86 + ease,
                    "duplicates": 1.0 if name == "copy" else max(0.0, rng.gauss(0.002, 0.002)),
                    "dcr_share": min(1.0, max(0.0, rng.gauss(privacy, 0.01))),
                    "valid_rows": 0.93 if name == "llm_zero_shot" else 1.0,
                    "fit_seconds": seconds * rng.uniform(0.8, 1.3),
                    "sample_seconds": 0.01 * seconds,
                    "peak_memory": 420 + 3 * seconds**0.8,
                }
                if dataset == "stroke":
                    reason = "needs a numeric pair: there is none"
                    lacking = Measurement(metric="correlation_similarity", status=Status.UNSUPPORTED, reason=reason)
                    values["correlation_similarity"] = lacking
                if "llm" in params and dataset != "vlbw":
                    values["memorisation"] = _memory_of(dataset, params["llm"] is LARGE)
                status = Status.PARTIAL if name == "llm_zero_shot" and seed == 0 else Status.OK
                cards = {**CARDS, "memorisation": MEMORISATION}
                records.append(record(name, dataset, seed, values, cards=cards, status=status, **common))
    return records


def _memory_of(dataset: str, large: bool) -> list[Measurement]:
    """By heart, the larger model knows one table; of another, one test has no value and one not the whole of it."""
    if dataset == "whas500":
        reason = "needs a language model: there is none"
        return [Measurement(metric="memorisation", status=Status.UNSUPPORTED, reason=reason)]
    if dataset == "rhc":
        reason = "no start of 6 characters or fewer tells the rows apart"
        nothing = Measurement(metric="memorisation", variant="first_token", status=Status.UNSUPPORTED, reason=reason)
        lost = share("row_completion", 0, 22, 0.0, status=Status.PARTIAL, reason="3 of 25 requests had no reply")
        return [share("header", 0, 4, 0.0), lost, nothing, share("feature_completion", 1, 25, 0.04)]
    return memory((3, 14, 21, 12)) if large and dataset == "heart_failure" else memory()


def pages(board: Board) -> dict[str, str]:
    """All pages of the site, by path."""
    with TemporaryDirectory() as folder:
        site = write(board, Path(folder)).parent
        return {page.relative_to(site).as_posix(): page.read_text() for page in sorted(site.rglob("*.html"))}


def whole(board: Board) -> str:
    """All pages of the site as one text."""
    return "\n".join(pages(board).values())
