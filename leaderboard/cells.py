"""The pages of single cells: their repeats, their values, and how to run them again."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Raw
from msgspec.json import Decoder
from pydantic_core import from_json

from ..results.portrait import DamagedPortraitError, Portrait, portrait_path, read_portrait
from ..results.reading import PORTRAIT_NAME
from ..results.record import USABLE
from . import text
from .naming import model_in_details, plain
from .page import render

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from .board import Column, Evidence, Repeat, Section
    from .page import Place

    Floats = npt.NDArray[np.float64]

MOST_REPEATS = 5  # whose values stand side by side; of more, the least and the largest
TRANSCRIPT = "transcript.jsonl.gz"
MAX_TEXT = 200
PARTS = Decoder(dict[str, Raw])


@dataclass(frozen=True)
class Source:
    """What a board knows of a generator on a dataset under one protocol; all that :func:`cell` needs.

    Attributes:
        slug: of the section in paths.
        name: of the protocol.
        protocol: in words.
        repeats: its records, in order of the seeds.
        columns: metrics of the section.
        keys: split seed and seed of the repeats that any generator has.
        means: over these of every metric, shape ``(columns,)``, NaN where there is no value.
        shown: the values of every metric, shape ``(columns, keys)``, NaN where there is none; of more than
            ``MOST_REPEATS`` the least and the largest, shape ``(columns, 2)``.
    """

    slug: str
    name: str
    protocol: str
    repeats: tuple[Repeat, ...]
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, int], ...]
    means: Floats
    shown: Floats


@dataclass(frozen=True)
class Cell:
    """A generator on a dataset, under one protocol, as its page shows it.

    Attributes:
        source: what the board knows of it.
        split_seeds: whether repeats differ by the seed of the split.
        heads: what the values of ``rows`` are of, beside the mean.
        rows: of every metric with a value the column, the mean over repeats, and the values.
        command: that runs the first repeat again.
        usage: what the language model of that repeat was asked, if there is one.
        provenance: where that repeat was run.
        seed: of that repeat.
        portrait: of it, if it has one.
        damaged: why its portrait cannot be shown, where that is so.
    """

    source: Source
    split_seeds: bool
    heads: tuple[str, ...]
    rows: tuple[tuple[Column, float, tuple[float | None, ...]], ...]
    command: str
    usage: dict[str, str]
    provenance: dict[str, str]
    seed: int
    portrait: Portrait | None
    damaged: str


def sources(section: Section, evidence: Evidence, slug: str) -> dict[tuple[str, str], Source]:
    """What a section knows of its cells, by the labels of their generator and dataset.

    Args:
        section: of the board.
        evidence: of the section.
        slug: its name in paths.
    """
    protocol = text.protocol(section)
    rows = {label: n for n, label in enumerate(evidence.generators)}
    columns: dict[str, list[int]] = defaultdict(list)
    for n, (dataset, *_) in enumerate(evidence.keys):
        columns[dataset].append(n)
    values = np.array([evidence.values[c.card.name] for c in section.columns])
    values = values.reshape(-1, len(evidence.generators), len(evidence.keys))
    keys = {dataset: tuple(evidence.keys[n][1:] for n in own) for dataset, own in columns.items()}
    known = {dataset: _condensed(values[:, :, own]) for dataset, own in columns.items()}
    return {
        (generator, dataset): Source(
            slug=slug,
            name=section.name,
            protocol=protocol,
            repeats=repeats,
            columns=section.columns,
            keys=keys[dataset],
            means=known[dataset][0][:, rows[generator]],
            shown=known[dataset][1][:, rows[generator]],
        )
        for (generator, dataset), repeats in evidence.repeats.items()
    }


def _condensed(values: Floats) -> tuple[Floats, Floats]:
    """Means over repeats, NaN where there is no value, and what is shown of the values.

    Args:
        values: shape ``(columns, generators, keys)``, NaN where there is none.
    """
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    means: Floats = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    if values.shape[-1] <= MOST_REPEATS:
        return means, values
    ends = np.where(known, values, np.inf).min(axis=-1), np.where(known, values, -np.inf).max(axis=-1)
    return means, np.stack(ends, axis=-1)


def pages(place: Place, pairs: Sequence[tuple[tuple[str, str], list[Source]]]) -> Iterator[tuple[str, bytes]]:
    """Paths and pages of cells.

    Args:
        place: any of the site.
        pairs: labels of a generator and a dataset, and what every section knows of the two.
    """
    for (generator, dataset), found in pairs:
        here = replace(place, here=place.links.cell(generator, dataset))
        page = render("cell.html.j2", site=here, generator=generator, dataset=dataset, cells=list(map(cell, found)))
        yield here.here, page.encode()


def cell(source: Source) -> Cell:
    """The facts of one cell; reads the record and the portrait of one of its repeats."""
    first = shown(source.repeats)
    content = _content(first)
    portrait, damaged = _portrait(first, content)
    few = len(source.keys) <= MOST_REPEATS
    seeds = tuple(f"seed {seed}" + f", split {split}" * bool(split) for split, seed in source.keys)
    return Cell(
        source=source,
        split_seeds=len({r.split_seed for r in source.repeats}) > 1,
        heads=seeds if few else ("least", "largest"),
        rows=tuple(_rows(source)),
        command=command(content),
        usage=_usage(content),
        provenance=_provenance(content),
        seed=first.seed,
        portrait=portrait,
        damaged=damaged,
    )


def shown(repeats: Sequence[Repeat]) -> Repeat:
    """The repeat that a page goes into: the first with a table, or the first."""
    return next((r for r in repeats if r.status in USABLE), repeats[0])


def command(content: Mapping[str, Any]) -> str:
    """The sweep of one cell that a record's content describes, with every setting by name.

    Args:
        content: the record as JSON values, see :meth:`synthward.results.record.Record.content`.
    """
    generator, protocol = content["generator"], content["identity"]["protocol"]
    words = [
        "synthward",
        "sweep",
        f"dataset={content['dataset']['name']}",
        f"generator={_called(generator)}",
        *_overrides("generator", generator.get("params", {})),
        *_overrides("protocol", ({"name": content["protocol"]} if content.get("protocol") else {}) | protocol),
        f"seed={content['seed']}",
        *_replayed(content),
    ]
    return " ".join(shlex.quote(plain(word, MAX_TEXT)) for word in words)


def _overrides(prefix: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Settings in Hydra's grammar; those within settings come from a group of their own, such as ``llm``."""
    for key, value in settings.items():
        if not isinstance(value, dict):
            yield f"{prefix}.{key}={json.dumps(value, ensure_ascii=False)}"


def _called(generator: Mapping[str, Any]) -> str:
    """By which a sweep finds a generator: its name without settings, or the class where it is somebody's own."""
    own = not generator["target"].startswith("synthward.")
    return str(generator["target"] if own else generator["name"].partition("[")[0])


def _replayed(content: Mapping[str, Any]) -> list[str]:
    """That the language model's answers are taken from the published transcript, where there is one."""
    model = model_in_details(content.get("details", {}))
    attached = [attached["path"] for attached in content.get("attachments", ())]
    if model is None or not any(path.endswith(TRANSCRIPT) for path in attached):
        return []
    return ["llm=replay", "llm.transcript=results/records", f"llm.model={model.name}"]


def _rows(source: Source) -> Iterator[tuple[Column, float, tuple[float | None, ...]]]:
    for column, mean, each in zip(source.columns, source.means.tolist(), source.shown.tolist(), strict=True):
        if not isnan(mean):
            yield column, mean, tuple(None if isnan(value) else value for value in each)


def _usage(content: Mapping[str, Any]) -> dict[str, str]:
    account = content.get("details", {}).get("llm")
    stated = account if isinstance(account, dict) else {}
    model = stated.get("model")
    said = {**(model if isinstance(model, dict) else {}), **stated}
    return {key.replace("_", " "): _text(value) for key, value in said.items() if not isinstance(value, dict)}


def _provenance(content: Mapping[str, Any]) -> dict[str, str]:
    stated = content.get("provenance", {})
    git, packages = (stated.get(name) if isinstance(stated.get(name), dict) else {} for name in ("git", "packages"))
    said = {**{key: value for key, value in stated.items() if not isinstance(value, dict)}, **git, **packages}
    return {plain(key.replace("_", " "), MAX_TEXT): _text(value) for key, value in said.items()}


def _text(value: Any) -> str:
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), MAX_TEXT)


def _portrait(repeat: Repeat, content: Mapping[str, Any]) -> tuple[Portrait | None, str]:
    """What a repeat looks like, or why that cannot be shown."""
    digests = [attached["sha256"] for attached in content.get("attachments", ()) if attached["path"] == PORTRAIT_NAME]
    if not digests or not isinstance(repeat.source, Path):
        return None, ""
    try:
        return read_portrait(portrait_path(repeat.source), digests[0]), ""
    except DamagedPortraitError as error:
        return None, plain(str(error), MAX_TEXT)


def _content(repeat: Repeat) -> Mapping[str, Any]:
    """What a record holds; of a file, which was verified when the board was made, all but the measurements.

    No page shows these as they stand there, and to decode them takes most of the time.
    """
    source = repeat.source
    if not isinstance(source, Path):
        return source.content()
    parts = PARTS.decode(source.read_bytes())
    return {name: from_json(bytes(part)) for name, part in parts.items() if name != "measurements"}
