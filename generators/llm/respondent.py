"""The language model behind a generator as metrics see it: prompts in, texts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...results.record import canonical_json
from .budget import expect, tokens_of
from .client import Client
from .exchange import Message, Request, Usage
from .settings import LLMSettings


class Respondent:
    """Asks a model about a public table, through the same cache, budget and bounds as a generator.

    How rows are asked for (draws, formats, the temperature of the sweep) is no part of what is asked here,
    so that all cells of a model and a dataset share their replies.

    Args:
        settings: of the model and the way to it.
    """

    def __init__(self, settings: LLMSettings) -> None:
        plain = {"top_p": 1.0, "draws": 1, "rows_per_reply": 1, "format": "csv", "structure": "none"}
        self._settings = settings.model_copy(update=plain)

    def complete(
        self,
        prompts: Sequence[Sequence[Mapping[str, str]]],
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str | None]:
        """Answer conversations, see ``metrics.base.LanguageModel``.

        Raises:
            BudgetSpentError: the sweep's budget does not reach.
            UserError: the endpoint cannot be used as it is configured, or not all replies came.
        """
        settings = self._settings.model_copy(update={"temperature": temperature})
        client = Client(settings, sharing="public", sends="rows")
        requests = [
            Request(
                model=settings.defining,
                messages=tuple(Message.model_validate(dict(message)) for message in prompt),
                max_tokens=max_tokens,
                index=index,
                seed=seed,
            )
            for index, prompt in enumerate(prompts)
        ]
        replies = client.complete(requests)
        return [r.choices[0].text if r.choices and not r.choices[0].refusal else None for r in replies]

    def rehearse(self) -> Rehearsal:
        """One that is asked the same, for the plan, and asks nobody."""
        return Rehearsal(self._settings)


class Rehearsal:
    """Adds up what a respondent would be asked.

    Args:
        settings: of the model.

    Attributes:
        estimate: of what all that should cost.
    """

    def __init__(self, settings: LLMSettings) -> None:
        self._settings = settings
        self.estimate = expect(settings, 0, Usage())

    @property
    def identity(self) -> str:
        """What decides its answers, as text."""
        return canonical_json(self._settings.defining)

    def complete(
        self,
        prompts: Sequence[Sequence[Mapping[str, str]]],
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str | None]:
        """No answers."""
        read = sum(tokens_of(*(message["content"] for message in prompt)) for prompt in prompts)
        tokens = Usage(prompt_tokens=read, completion_tokens=max_tokens * len(prompts))
        self.estimate += expect(self._settings, len(prompts), tokens)
        return [None] * len(prompts)
