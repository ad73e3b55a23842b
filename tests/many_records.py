"""Folders of many records, shaped like published ones: their cards and measurements, and values that are drawn.

Half of the datasets have the measurements of a record of the default suite, half those of one that was scored by all
metrics: 21 kB and 123 measurements a record, as published records have on average.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
from synthward.results.reading import CardFiles
from synthward.results.record import Family, MetricCard, cell_id, indented_json, seal

PUBLISHED = Path(__file__).parents[1] / "results" / "records"
TEMPLATES = ("rhc/gaussian_copula-0-fdc57f18.json", "icu/gaussian_copula-0-30ed477a.json")
REFERENCES = {"real": "reference", "copy": "reference", "marginals": "reference", "uniform": "description"}
ACCESS = ("description", "statistics", "examples", "rows", "rows", "rows")
PROTOCOL = {"name": "bench", "train": 0.4, "control": 0.4, "test": 0.2, "split_seed": 0, "max_rows": 5000, "ratio": 1.0}
FAILING, FAILURES = 10, 5  # every so many generators one that fails on every so many datasets
MARK = re.compile(r'"@@(\w+)@@"')


def write_records(
    folder: Path, generators: int, datasets: int, seeds: int, families: Collection[str] = get_args(Family)
) -> int:
    """Write records of all generators on all datasets with all seeds, the first four generators being references.

    Args:
        folder: made if it is not there; the records stand in a folder for each dataset, the cards beside these.
        generators: four or more.
        datasets: how many.
        seeds: how many.
        families: of the metrics whose measurements the records have.

    Returns:
        Number of records.
    """
    published = [json.loads((PUBLISHED / name).read_text()) for name in TEMPLATES]
    folder.mkdir(parents=True, exist_ok=True)
    for template in published:
        name = f"cards-{template['cards']}.json"
        (folder / name).write_bytes((PUBLISHED / name).read_bytes())
    for d in range(datasets):
        template = published[d % len(published)]
        cards = CardFiles(PUBLISHED).read(template["cards"])
        measured = [m for m in template["measurements"] if cards[m["metric"]].family in families]
        (folder / f"dataset_{d:03}").mkdir(exist_ok=True)
        for name, text in _records({**template, "measurements": measured}, cards, d, generators, seeds):
            (folder / f"dataset_{d:03}" / name).write_bytes(text.encode())
    return generators * datasets * seeds


def _records(
    template: dict[str, Any], cards: dict[str, MetricCard], d: int, generators: int, seeds: int
) -> Iterator[tuple[str, str]]:
    """File name and text of the records of one dataset."""
    rng = np.random.default_rng(d)
    dataset = {**template["dataset"], "name": f"dataset_{d:03}", "fingerprint": f"{d:064x}"}
    measured = template["measurements"]
    identity = {
        "version": 1,
        "track": "synthesis",
        "dataset": dataset["fingerprint"],
        "protocol": PROTOCOL,
        "generator": "@@made@@",
        "seed": "@@seed@@",
        "rows": dataset["n_train"],
    }
    whole = {
        **{key: value for key, value in template.items() if key != "attachments"},
        "id": "@@id@@",
        "identity": identity,
        "dataset": dataset,
        "generator": "@@generator@@",
        "protocol": PROTOCOL["name"],
        "seed": "@@seed@@",
        "rows_requested": dataset["n_train"],
        "measurements": [m | {"value": f"@@{n}@@"} if "value" in m else m for n, m in enumerate(measured)],
        "provenance": {**template["provenance"], "config": {"generator": "@@generator@@", "protocol": PROTOCOL}},
    }
    failed = {k: v for k, v in whole.items() if k not in ("measurements", "cards", "artifact")}
    failed |= {"status": "timeout", "phase": "fit", "message": "did not finish within 7,200 s"}
    whole_parts, failed_parts = _parts(whole), _parts(failed)
    for g in range(generators):
        name = list(REFERENCES)[g] if g < len(REFERENCES) else f"generator_{g:03}"
        access = REFERENCES.get(name) or ACCESS[g % len(ACCESS)]
        made = {"target": f"bench.{name}", "version": "1", "params": {"epochs": 100 + g, "batch": {"size": 500}}}
        facts = {"name": name, **made, "access": access} | ({"reference": True} if name in REFERENCES else {})
        places = _places(measured, cards, name, g)
        for seed in range(seeds):
            fails = name not in REFERENCES and g % FAILING == 0 and (d + g // FAILING) % FAILURES == 0
            noise = rng.normal(0, 0.03, len(measured)).tolist()
            drawn = [
                low + (high - low) * min(max(t + e, 0.0), 1.0) for (low, high, t), e in zip(places, noise, strict=True)
            ]
            marked = {str(n): repr(value) for n, value in enumerate(drawn)}
            own = {**identity, "generator": made, "seed": seed}
            marked |= {"made": json.dumps(made), "generator": json.dumps(facts), "seed": str(seed)}
            marked["id"] = json.dumps(cell_id(own))
            parts = failed_parts if fails else whole_parts
            text = "".join([marked[part] if n % 2 else part for n, part in enumerate(parts)])
            yield f"{name}-{seed}-{cell_id(own)[:8]}.json", f'{text},\n "digest": "{seal(text)}"\n}}\n'


def _parts(content: dict[str, Any]) -> list[str]:
    """Text and names of marks in turn, without the digest."""
    unsealed = {key: value for key, value in content.items() if key != "digest"}
    return MARK.split(indented_json(unsealed).removesuffix("\n}\n"))


def _places(
    measured: list[dict[str, Any]], cards: dict[str, MetricCard], name: str, g: int
) -> list[tuple[float, float, float]]:
    """Of every measurement its ideal value, its worst, and how far from the one to the other the generator stands."""
    places = []
    for m in measured:
        card = cards[m["metric"]]
        if card.ideal is None or card.lower is None or card.upper is None:
            value = m.get("value") or 1.0
            places.append((0.5 * value, 1.5 * value, 0.5))
            continue
        worst = max(card.lower, card.upper, key=lambda bound: abs(bound - (card.ideal or 0.0)))
        bad = {"real": 0.0, "copy": 1.0 if card.family == "privacy" else 0.0, "uniform": 0.9}
        places.append((card.ideal, worst, bad.get(name, 0.35 + 0.25 * math.sin(g + len(places)))))
    return places
