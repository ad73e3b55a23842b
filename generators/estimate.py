"""What the making of rows should cost, before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """Cost of one run of a generator that asks a language model, or of several together.

    Attributes:
        calls: requests.
        prompt_tokens, completion_tokens: estimated from the length of prompts and rows.
        cost_usd: ``None`` where no price is known.
        seconds: ``None`` where no speed is known.
    """

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None = None
    seconds: float | None = None

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            None if self.cost_usd is None or other.cost_usd is None else self.cost_usd + other.cost_usd,
            None if self.seconds is None or other.seconds is None else self.seconds + other.seconds,
        )
