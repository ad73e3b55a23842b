"""What all generators that ask a language model share: the model, the guard, the transcript, the account."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ..base import Generator
from ..estimate import Estimate
from ..view import Access
from .model import Model, resolve

if TYPE_CHECKING:
    from ...benchmarks.dataset import DatasetCard
    from ..view import TrainView
    from .client import Client
    from .endpoints import Sends
    from .exchange import Usage
    from .respondent import Respondent


@dataclass(eq=False)
class LLMGenerator(Generator):
    """A generator that asks a language model.

    Attributes:
        llm: the ``llm`` group of the configuration, see :class:`~.settings.LLMSettings`.
    """

    requires: ClassVar[tuple[str, ...]] = ("openai",)
    extra: ClassVar[str | None] = "llm"
    preload: ClassVar[tuple[str, ...]] = ("openai", "synthward.generators.llm.client")

    llm: Mapping[str, Any]

    @classmethod
    def defining(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """The address of the endpoint, deadlines, budgets and the like are no part of the rows' identity."""
        return {**params, "llm": resolve(params.get("llm") or {}).defining}

    def refuses(self, card: DatasetCard) -> str | None:
        """Rows and statistics of a ``local-only`` table stay on this machine."""
        from .endpoints import AccessRefusedError, guard

        try:
            guard(self.model.settings, card.sharing, self._sends(card.inferred))
        except AccessRefusedError as error:
            return str(error)
        return None

    def prepare(self) -> None:
        """Start the model server, or find the running one."""
        if self.model.settings.endpoint == "embedded":
            from .server import serve

            serve(self.model.settings)

    def language_model(self) -> Respondent | None:
        """The model, unless it is a transcript, which knows no answer to what it was not asked."""
        from .respondent import Respondent

        settings = self.model.settings
        return Respondent(settings) if settings.endpoint != "replay" else None

    def attachments(self) -> dict[str, bytes]:
        """The transcript, from which anybody can replay the cell."""
        from .transcript import SUFFIX

        content = self._client.transcript(requests=self.access == Access.DESCRIPTION)
        return {SUFFIX.lstrip("."): content} if content else {}

    def estimate(self, view: TrainView, n: int) -> Estimate:
        """What ``n`` rows should cost if every reply were valid; asks nobody."""
        from .budget import expect

        self.fit(view, 0)
        return expect(self.model.settings, *self._expected(n))

    @abstractmethod
    def _expected(self, n: int) -> tuple[int, Usage]:
        """Calls and tokens that ``n`` rows should take. After ``fit``, which asks nobody."""

    @cached_property
    def model(self) -> Model:
        """The model that the settings mean."""
        return resolve(self.llm)

    def _sends(self, inferred: bool) -> Sends:
        """The most that prompts hold of the table; a card that was read off the rows is a summary of them."""
        described = self.access == Access.DESCRIPTION
        return "statistics" if described and inferred else cast("Sends", self.access.value)

    def _open(self, view: TrainView) -> None:
        """Make the client of one run.

        Raises:
            UserError: what prompts will hold must not leave this machine, or a setting is wrong.
        """
        from .client import Client

        self._client: Client = Client(self.model.settings, view.sharing, self._sends(view.inferred))

    def _account(self) -> dict[str, Any]:
        """What the run cost, for the record: nominal usage is the same whether replies were paid for now or before."""
        exchanges, usage = self._client.exchanges, self._client.usage
        replies = [e.reply for e in exchanges]
        return {
            "model": self.model.defining,
            "calls": len(replies),
            "prompt_tokens": sum(r.usage.prompt_tokens for r in replies),
            "completion_tokens": sum(r.usage.completion_tokens for r in replies),
            "seconds": round(sum(r.seconds for r in replies), 3),
            "cost_usd": self._nominal_cost(),
            "paid": {
                "calls": usage.calls,
                "tokens": usage.prompt_tokens + usage.completion_tokens,
                "cached_tokens": usage.cached_tokens,
                "cost_usd": usage.cost_usd,
                "retries": usage.retries,
            },
            "dropped": sorted({name for r in replies for name in r.dropped}),
            "answered_by": sorted({r.model for r in replies if r.model}),
        }

    def _served(self, phase: str) -> dict[str, dict[str, float]]:
        """Processor seconds of the embedded model's server, as the cost of a phase beside the cell's own process."""
        seconds = sum(e.reply.processor_seconds for e in self._client.exchanges)
        return {"served_seconds": {phase: round(seconds, 3)}} if seconds else {}

    def _nominal_cost(self) -> float | None:
        from .budget import cost
        from .exchange import Usage

        replies = [e.reply for e in self._client.exchanges]
        whole = Usage(
            prompt_tokens=sum(r.usage.prompt_tokens for r in replies),
            completion_tokens=sum(r.usage.completion_tokens for r in replies),
        )
        return cost(whole, self.model.settings.price)
