"""What a sweep may spend on language models, and what it has spent, added up across its processes."""

from __future__ import annotations

import asyncio
import fcntl
import json
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...results.errors import StoppedError, UserError
from ...results.store import full_disk_is_clear
from .exchange import Request, Usage
from .settings import LLMSettings, Price

MILLION = 1_000_000
CHARACTERS_PER_TOKEN = 3  # fewer than English text has, so that an estimate is rather too high
TICK = 0.02  # seconds between looks at a budget that is all reserved
BATCH_DISCOUNT = 0.5  # OpenAI's Batch API costs half


class BudgetSpentError(StoppedError):
    """The next request would not fit into the budget of the sweep."""


@dataclass
class Spending:
    """What one client has spent.

    Attributes:
        calls: replies paid for.
        prompt_tokens, completion_tokens: billed for them.
        cached_tokens: that the replies from the cache or a transcript had cost when they were paid.
        lost_tokens: estimate of those of replies that broke off, which the endpoint may have billed.
        cost_usd: of what was billed; ``None`` if no price is known.
        retries: attempts that were made again.
        statuses: number of attempts by what came of them: an HTTP status, ``timeout``, ``connection`` or ``malformed``.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    lost_tokens: int = 0
    cost_usd: float | None = None
    retries: int = 0
    statuses: Counter[str] = field(default_factory=Counter)


def estimate(requests: Sequence[Request]) -> Usage:
    """The most that requests should cost, before they are sent."""
    return Usage(
        prompt_tokens=sum(tokens_of(*(m.content for m in r.messages)) for r in requests),
        completion_tokens=sum(r.draws * r.max_tokens for r in requests),
    )


def tokens_of(*texts: str) -> int:
    """Estimate of the tokens of some texts, from their length."""
    return sum(len(t) // CHARACTERS_PER_TOKEN + 1 for t in texts)


def cost(usage: Usage, price: Price | None, batch: bool = False) -> float | None:
    """US dollars, or ``None`` if no price is known."""
    if price is None:
        return None
    full = (usage.prompt_tokens * price.prompt + usage.completion_tokens * price.completion) / MILLION
    return full * BATCH_DISCOUNT if batch else full


class Budget:
    """The sweep's ledger: a file of JSON lines, one when a request is reserved and one when it is settled.

    What a killed process had in flight stays reserved: the endpoint may have billed it.

    Args:
        settings: say the limits, the price, and where the ledger lies; without one, only this client's
            spending counts.

    Raises:
        UserError: a limit in money, but no price.
    """

    def __init__(self, settings: LLMSettings) -> None:
        if settings.max_cost_usd is not None and settings.price is None:
            raise UserError(
                f"llm.max_cost_usd needs the price of '{settings.model}': give llm.price.prompt= and "
                "llm.price.completion= in US dollars per million tokens, or limit llm.max_tokens"
            )
        self._settings = settings
        self._path = Path(settings.ledger) if settings.ledger else None
        self._entries: dict[str, tuple[int, float]] = {}
        self._tokens, self._dollars = 0, 0.0  # sums of the entries
        self._read = 0  # bytes of the ledger that are in the entries
        self._open: set[str] = set()  # reservations of this object

    @property
    def spent(self) -> tuple[int, float]:
        """Tokens and US dollars spent or reserved so far, as of the last look at the ledger."""
        return self._tokens, self._dollars

    async def reserve(self, usage: Usage) -> str:
        """Set aside what a request may cost.

        What does not fit beside other reservations of this object waits until they are settled, for less.

        Returns:
            A ticket to settle.

        Raises:
            BudgetSpentError: it does not fit.
        """
        ticket = uuid.uuid4().hex
        if self._settings.max_tokens is None and self._settings.max_cost_usd is None:
            return ticket  # nothing to be held back from: what it costs is entered when it is settled
        while refusal := self._enter(ticket, usage, bounded=True):
            if not self._open:
                raise BudgetSpentError(refusal)
            await asyncio.sleep(TICK)
        self._open.add(ticket)
        return ticket

    def settle(self, ticket: str, usage: Usage) -> None:
        """Replace a reservation by what the request did cost."""
        self._enter(ticket, usage, bounded=False)
        self._open.discard(ticket)

    def _enter(self, ticket: str, usage: Usage, bounded: bool) -> str | None:
        entry = usage.total, cost(usage, self._settings.price, self._settings.batch) or 0.0
        if self._path is None:
            refusal = self._refusal(entry) if bounded else None
        else:
            with full_disk_is_clear(self._path):
                refusal = self._append(self._path, ticket, entry, bounded)
        if refusal is None:
            self._take(ticket, entry)
        return refusal

    def _append(self, path: Path, ticket: str, entry: tuple[int, float], bounded: bool) -> str | None:
        if not self._read:
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(self._read)
            news = file.read()
            whole, _, half = news.rpartition(b"\n")  # a process killed while it wrote leaves half a line
            self._read += len(news) - len(half)
            for line in whole.splitlines():
                self._learn(line)
            if bounded and (refusal := self._refusal(entry)):
                return refusal
            file.write((b"\n" if half else b"") + json.dumps([ticket, *entry]).encode() + b"\n")
            self._read = file.tell()
        return None

    def _learn(self, line: bytes) -> None:
        try:
            ticket, tokens, dollars = json.loads(line)
            self._take(str(ticket), (int(tokens), float(dollars)))
        except (ValueError, TypeError, OverflowError):  # half a line
            return

    def _take(self, ticket: str, entry: tuple[int, float]) -> None:
        before = self._entries.get(ticket, (0, 0.0))
        self._entries[ticket] = entry
        self._tokens += entry[0] - before[0]
        self._dollars += entry[1] - before[1]

    def _refusal(self, entry: tuple[int, float]) -> str | None:
        tokens, dollars = self.spent
        most, dearest = self._settings.max_tokens, self._settings.max_cost_usd
        if most is not None and tokens + entry[0] > most:
            return (
                f"the budget llm.max_tokens={most:,} leaves {max(0, most - tokens):,} tokens and the next request may "
                f"take {entry[0]:,}: raise it and run the same command again"
            )
        if dearest is not None and dollars + entry[1] > dearest:
            return (
                f"the budget llm.max_cost_usd={dearest:g} leaves {max(0.0, dearest - dollars):.4f} and the next "
                f"request may cost {entry[1]:.4f}: raise it and run the same command again"
            )
        return None
