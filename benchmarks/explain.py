"""What a metric is, for people: the words of its card, in the terminal and in the metrics' own documentation."""

from __future__ import annotations

from collections.abc import Iterable

from ..metrics import get, registry
from ..results.record import MetricCard
from .catalogue import configs, metrics_of

FAMILIES = {
    "fidelity": "Does the synthetic table look like the test rows?",
    "utility": "Does a model trained on it predict the target of real patients?",
    "privacy": "Is it nearer to the train rows than to rows that the generator never saw?",
    "validity": "Do its rows obey the schema card?",
    "cost": "What did it take to make?",
}


def cards(names: Iterable[str]) -> list[MetricCard]:
    """The cards of some metrics, or of all of them by family and name.

    Raises:
        UserError: there is no such metric; the message names the nearest.
    """
    found = [get(name).card for name in names]
    order = list(FAMILIES)
    return found or sorted((m.card for m in registry().values()), key=lambda c: (order.index(c.family), c.name))


def facts(card: MetricCard) -> dict[str, str]:
    """What a card says, one line a fact."""
    suites = [name for name in configs("metrics")[0] if card.name in metrics_of([name])]
    unit = f", in {card.unit}" if card.unit else ""
    known = {
        "family": f"{card.family}: {FAMILIES[card.family]}",
        "aspect": card.aspect,
        "value": f"{card.better}; {card.range}{unit}{'' if card.ranked else '; for reference, not compared'}",
        "definition": card.definition,
        "as published": f"with the defects of {card.published_in}" if card.published_in else "",
        "source": card.citation,
        "needs": ", ".join(card.needs),
        "suites": ", ".join(suites),
        "version": str(card.version),
    }
    return {name: text for name, text in known.items() if text}


def markdown(shown: Iterable[MetricCard]) -> str:
    """Cards as a Markdown document."""
    lines = [
        "# Metrics",
        "",
        "The cards of all metrics. Made by `synthward explain --markdown`; the board shows the same.",
    ]
    family = ""
    for card in shown:
        if card.family != family:
            family = card.family
            lines += ["", f"## {family.capitalize()}", "", FAMILIES[family]]
        said = facts(card)
        lines += ["", f"### {card.name} {card.arrow}", "", said.pop("definition"), ""]
        del said["family"]
        lines += [f"- {name}: {text}" for name, text in said.items()]
    return "\n".join(lines) + "\n"
