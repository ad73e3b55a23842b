"""What may be spent on language models, and what was, added up across the processes of a store."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import json
import math
import string
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from ...results.errors import StoppedError, UserError
from ...results.store import full_disk_is_clear
from ..estimate import Estimate
from .exchange import Usage
from .settings import LLMSettings, Price

MILLION = 1_000_000
CHARACTERS_PER_TOKEN = 3  # fewer than English text has, so that an expectation is rather too high
DENSE = (string.ascii_letters + " ").encode()  # at least two of these make a token, as a rule
TICK = 0.02  # seconds between looks at a budget that is all reserved
BATCH_DISCOUNT = 0.5  # OpenAI's Batch API costs half


class BudgetSpentError(StoppedError):
    """The next request would not fit into the budget."""


@dataclass
class Spending:
    """What one client has spent.

    Attributes:
        calls: replies paid for.
        prompt_tokens, completion_tokens: billed for them.
        cached_tokens: that the replies from the cache or a transcript had cost when they were paid.
        lost_tokens: at most, of replies that broke off, which the endpoint may have billed.
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


def tokens_of(*texts: str) -> int:
    """Tokens that some texts should have, from their length: an expectation, which numbers may well exceed."""
    return sum(len(t) // CHARACTERS_PER_TOKEN + 1 for t in texts)


def at_most(body: Mapping[str, Any]) -> Usage:
    """Tokens that a request may take, as a bound.

    All of its body counts, schema included: what of it the model reads is the endpoint's affair, and the rest
    makes up for the chat template and a system prompt of the model's own. Two ASCII letters or blanks count as one
    token; digits, punctuation and the bytes of everything else, which may be tokens of their own, count one each.

    Args:
        body: of a chat completion, as it is sent.
    """
    content = json.dumps(body, ensure_ascii=False).encode(errors="replace")
    loose = len(content.translate(None, DENSE))
    room = body.get("max_completion_tokens", body.get("max_tokens", 0))
    return Usage(prompt_tokens=loose + math.ceil((len(content) - loose) / 2), completion_tokens=room * body.get("n", 1))


def cost(usage: Usage, price: Price | None, batch: bool = False) -> float | None:
    """US dollars, or ``None`` if no price is known."""
    if price is None:
        return None
    full = (usage.prompt_tokens * price.prompt + usage.completion_tokens * price.completion) / MILLION
    return full * BATCH_DISCOUNT if batch else full


def expect(settings: LLMSettings, calls: int, tokens: Usage) -> Estimate:
    """What requests should cost in money and, where the speed of the model is known, in time."""
    seconds = None
    if settings.tokens_per_second:
        seconds = tokens.completion_tokens / settings.tokens_per_second
        seconds += tokens.prompt_tokens / (settings.prompt_tokens_per_second or math.inf)
    money = cost(tokens, settings.price, settings.batch)
    return Estimate(calls, tokens.prompt_tokens, tokens.completion_tokens, money, seconds)


class Entry(NamedTuple):
    """What stands in a ledger under a ticket, once it is reserved and again once it is settled.

    Attributes:
        tokens: spent or reserved.
        dollars: as many; 0 if no price is known.
        model: kind of the endpoint and name of the model. "" in older ledgers: it counts for every model.
        until: Unix time at which a reservation should be settled; 0 if it is, or if nobody waits for it.
        factor: by which the request exceeded its bound, below 1 if it kept it; 0 if nobody knows.
    """

    tokens: int
    dollars: float
    model: str = ""
    until: float = 0.0
    factor: float = 0.0


class Budget:
    """The ledger of a store, and what its limits leave for one model.

    A file of JSON lines, one when a request is reserved and one when it is settled. Each model of each kind of
    endpoint is counted by itself: the limits are those of the model that is asked. What a killed process had in
    flight stays reserved: the endpoint may have billed it.

    Requests are reserved at a bound (:func:`at_most`), times the largest factor by which one of the same model has
    exceeded its own. Until a reply has shown that factor, they are sent one at a time: a first request, or first
    batch, whose cost exceeds all that could be known is the one thing that can overrun a limit by much.

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
        self._model = f"{settings.endpoint} {settings.defining['model']}"
        self._path = Path(settings.ledger) if settings.ledger else None
        self._read = 0  # bytes of the ledger that are known
        self._entries: dict[str, Entry] = {}
        self._tokens, self._dollars, self._factor = 0, 0.0, 0.0  # sums and maximum of the entries
        self._in_flight: dict[str, float] = {}  # until when
        self._bounds: dict[str, Usage] = {}  # of what this object has reserved

    async def reserve(self, bound: Usage) -> str:
        """Set aside what a request may cost.

        What does not fit beside other reservations waits until they are settled, for less.

        Args:
            bound: of the request, or of a batch of them together.

        Returns:
            A ticket to settle.

        Raises:
            BudgetSpentError: it does not fit.
        """
        ticket = uuid.uuid4().hex
        while True:
            with self._ledger() as file:
                until = 0.0 if self._settings.batch else time.time() + self._settings.request_seconds
                entry = self._entry(bound, until)
                if self._admits(entry):
                    self._write(file, ticket, entry)
                    self._bounds[ticket] = bound
                    return ticket
            await asyncio.sleep(TICK)

    def settle(self, ticket: str, used: Usage | None) -> None:
        """Replace a reservation by what the request did cost; ``None``: nobody knows, so all of it counts."""
        bound = self._bounds.pop(ticket, None)
        with self._ledger() as file:
            if used is None:
                entry = self._entries.get(ticket, Entry(0, 0.0))._replace(until=0.0)
            else:
                factor = _factor(used, bound) if bound else 0.0
                entry = Entry(used.total, self._price(used), self._model, factor=factor)
            self._write(file, ticket, entry)

    def fitting(self, bounds: Sequence[Usage]) -> int:
        """How many of some requests, from the first on, would fit together now."""
        with self._ledger():
            whole = Usage()
            for number, bound in enumerate(bounds):
                whole += bound
                if self._refusal(self._entry(whole)):
                    return number
        return len(bounds)

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[IO[bytes]]:
        """The ledger, held against other processes and known to its end; whatever is written goes there."""
        if self._path is None:
            yield io.BytesIO()
            return
        with full_disk_is_clear(self._path):
            if not self._read:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(self._read)
                news = file.read()
                for line in news.splitlines():
                    self._learn(line)
                if news and not news.endswith(b"\n"):  # a process was killed while it wrote
                    file.write(b"\n")
                yield file
                self._read = file.seek(0, io.SEEK_END)

    def _learn(self, line: bytes) -> None:
        kinds = (str, int, float, str, float, float)
        try:
            ticket, *values = (kind(value) for kind, value in zip(kinds, json.loads(line), strict=False))
            entry = Entry(*values)
        except (ValueError, TypeError, OverflowError):  # half a line
            return
        if entry.model in ("", self._model):
            self._take(ticket, entry)

    def _write(self, file: IO[bytes], ticket: str, entry: Entry) -> None:
        file.write(json.dumps([ticket, *entry]).encode() + b"\n")
        self._take(ticket, entry)

    def _take(self, ticket: str, entry: Entry) -> None:
        before = self._entries.get(ticket, Entry(0, 0.0))
        self._entries[ticket] = entry
        self._tokens += entry.tokens - before.tokens
        self._dollars += entry.dollars - before.dollars
        self._factor = max(self._factor, entry.factor)
        if entry.until:
            self._in_flight[ticket] = entry.until
        else:
            self._in_flight.pop(ticket, None)

    def _entry(self, bound: Usage, until: float = 0.0) -> Entry:
        factor = max(1.0, self._factor)
        most = Usage(
            prompt_tokens=math.ceil(factor * bound.prompt_tokens),
            completion_tokens=math.ceil(factor * bound.completion_tokens),
        )
        return Entry(most.total, self._price(most), self._model, until)

    def _price(self, usage: Usage) -> float:
        return cost(usage, self._settings.price, self._settings.batch) or 0.0

    def _admits(self, entry: Entry) -> bool:
        """Whether there is room for it now; ``False`` if there may be once others are settled.

        Raises:
            BudgetSpentError: nobody else is in flight.
        """
        limited = self._settings.max_tokens is not None or self._settings.max_cost_usd is not None
        now = time.time()
        others = any(until > now for until in self._in_flight.values())
        if limited and others and not self._factor:
            return False
        refusal = self._refusal(entry)
        if refusal and not others:
            raise BudgetSpentError(refusal)
        return refusal is None

    def _refusal(self, entry: Entry) -> str | None:
        most, dearest = self._settings.max_tokens, self._settings.max_cost_usd
        tokens, dollars = self._tokens, self._dollars
        if most is not None and tokens + entry.tokens > most:
            return (
                f"the budget llm.max_tokens={most:,} leaves {max(0, most - tokens):,} tokens and the next request may "
                f"take {entry.tokens:,}: raise it and run the same command again"
            )
        if dearest is not None and dollars + entry.dollars > dearest:
            return (
                f"the budget llm.max_cost_usd={dearest:g} leaves {max(0.0, dearest - dollars):.4f} and the next "
                f"request may cost {entry.dollars:.4f}: raise it and run the same command again"
            )
        return None


def _factor(used: Usage, bound: Usage) -> float:
    """What a request took, as a multiple of its bound."""
    return max(
        used.prompt_tokens / max(1, bound.prompt_tokens), used.completion_tokens / max(1, bound.completion_tokens)
    )
