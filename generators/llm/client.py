"""The client: requests in, replies out; from a transcript, the cache or an endpoint."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Sequence
from pathlib import Path

from ...results.errors import UserError
from . import endpoints
from .budget import Budget, Spending, cost
from .cache import Cache
from .endpoints import Sends, Sharing
from .exchange import Exchange, Reply, Request
from .failures import DeadlineError, EndpointError
from .sender import Learned, Sender, deadline
from .settings import LLMSettings
from .transcript import Transcripts, dump


class Client:
    """Asks a language model, each request once.

    A reply that was paid for is on disk before anything else happens, so that no interruption loses it.

    Args:
        settings: of the model and the way to it.
        sharing: of the table that prompts are about, from its card.
        sends: the most that prompts hold of the table.

    Attributes:
        usage: what was spent so far.

    Raises:
        UserError: the settings contradict themselves, or rows or statistics of a ``local-only`` table would
            leave this machine.
    """

    def __init__(self, settings: LLMSettings, sharing: Sharing = "public", sends: Sends = "description") -> None:
        if settings.endpoint not in ("embedded", "replay"):
            endpoints.address(settings)
        endpoints.guard(settings, sharing, sends)
        if settings.endpoint == "replay" and not settings.transcript:
            raise UserError("llm=replay needs a transcript: llm.transcript=FILE, or a folder of them")
        if settings.batch and (settings.endpoint != "openai" or not settings.cache):
            raise UserError("llm.batch=true needs llm=openai and a cache, where it finds its batches again")
        self.usage = Spending(cost_usd=None if settings.price is None else 0.0)
        self._ended, self._last = "", math.inf
        self._settings = settings
        self._cache = Cache(Path(settings.cache)) if settings.cache and settings.endpoint != "replay" else None
        self._budget = Budget(settings)
        self._transcripts: Transcripts | None = None
        self._known: dict[str, Exchange] = {}
        self._learned = Learned()
        self._ends: float | None = None

    @property
    def exchanges(self) -> list[Exchange]:
        """All requests that were answered, with their replies, in the order of their index."""
        return sorted(self._known.values(), key=lambda e: e.request.index)

    def end(self, last: Request, reason: str) -> None:
        """Note that the run looks at no reply to a later request, even if it is there: a replay is to end likewise."""
        self._last, self._ended = last.index, reason

    def transcript(self, requests: bool) -> bytes:
        """What a replay needs; nothing if nothing was answered.

        Args:
            requests: whether they may be told, see :func:`.transcript.dump`.
        """
        seen = [e for e in self.exchanges if e.request.index <= self._last]
        return dump(seen, requests, self._ended) if seen else b""

    def complete(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer requests: from the transcript, the cache, or the endpoint.

        A refusal or an empty text is a reply like any other, and is cached: who wants another asks with
        another ``index``. A reply may hold fewer choices than were drawn.

        Args:
            requests: for the model of the settings.

        Returns:
            One reply a request, in their order.

        Raises:
            DeadlineError: ``cell_seconds`` after the first request that had to be sent; carries what came.
            EndpointError: the endpoint cannot serve us, at once or after all retries; carries what came.
            BudgetSpentError: the next request does not fit into the sweep's budget.
            UserError: a transcript does not hold the request, a key is missing, or the cache cannot be written.
        """
        pending = [r for r in {r.key: r for r in requests}.values() if not self._recall(r)]
        if pending:
            try:
                self._obtain(pending)
            except (DeadlineError, EndpointError) as error:
                error.replies = [self._known[r.key].reply if r.key in self._known else None for r in requests]
                self._ended = str(error) if isinstance(error, DeadlineError) else self._ended
                raise
        return [self._known[r.key].reply for r in requests]

    def _obtain(self, pending: Sequence[Request]) -> None:
        if self._transcripts is not None:
            raise self._transcripts.lack(pending[0], self._known)
        if self._ends is None:
            self._ends = time.monotonic() + self._settings.cell_seconds
        if time.monotonic() >= self._ends:
            raise deadline(self._settings)
        asyncio.run((self._submit if self._settings.batch else self._ask)(pending, self._ends))

    def _recall(self, request: Request) -> bool:
        """Whether the reply is known without asking for it."""
        if request.key in self._known:
            return True
        if self._settings.endpoint == "replay":
            if self._transcripts is None:
                self._transcripts = Transcripts.read(Path(self._settings.transcript or ""))
            found = self._transcripts.get(request)
        else:
            if request.model != self._settings.defining:
                raise ValueError("a request for another model than the client's would spoil the cache")
            found = self._cache.get(request) if self._cache else None
        if found is not None:
            self._known[request.key] = found
            self.usage.cached_tokens += found.reply.usage.total
        return found is not None

    async def _keep(self, request: Request, reply: Reply) -> None:
        """Take a reply that was paid for: it is on disk when this returns."""
        exchange = Exchange(request=request, reply=reply)
        self._known[request.key] = exchange
        self.usage.calls += 1
        self.usage.prompt_tokens += reply.usage.prompt_tokens
        self.usage.completion_tokens += reply.usage.completion_tokens
        spent = cost(reply.usage, self._settings.price, self._settings.batch)
        if spent is not None:
            self.usage.cost_usd = (self.usage.cost_usd or 0.0) + spent
        if self._cache:
            await asyncio.to_thread(self._cache.put, exchange)  # which waits for the disk

    async def _ask(self, pending: Sequence[Request], ends: float) -> None:
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + ends - time.monotonic()):
                async with Sender(self._settings, self._learned, self._budget, self.usage, ends) as sender:
                    await self._all(sender, pending)
        except TimeoutError:
            raise deadline(self._settings) from None
        if sender.stopped:
            raise sender.stopped

    async def _all(self, sender: Sender, requests: Sequence[Request]) -> None:
        async with asyncio.TaskGroup() as group:
            for request in requests:
                group.create_task(self._answer(sender, request))

    async def _answer(self, sender: Sender, request: Request) -> None:
        """Answer a request: whole, or if the endpoint gives one choice at a time, draw by draw."""
        try:
            # The slot is free again when the reply is on disk: what a kill can lose is bounded, too.
            async with sender.slots, self._cache.lock(request.key) if self._cache else contextlib.nullcontext():
                if sender.stopped or self._recall(request):  # another worker may have paid for it meanwhile
                    return
                reply = await sender.reply(request)
                if reply is not None:
                    await self._keep(request, reply)
                    return
        except UserError as error:
            sender.stop(error)
            return
        await self._draw(sender, request)

    async def _draw(self, sender: Sender, request: Request) -> None:
        """Answer a request by its single draws; what came of them is the reply, even if not all did."""
        try:
            await self._all(sender, request.single_draws())
        finally:
            self._join(request)

    def _join(self, request: Request) -> None:
        """Make what came of the single draws of a request its reply."""
        came = [self._known.pop(d.key).reply for d in request.single_draws() if d.key in self._known]
        if came:
            self._known[request.key] = Exchange.joined(request, came)

    async def _submit(self, pending: Sequence[Request], ends: float) -> None:
        from .batch import Batches

        batches = Batches(self._settings, self._learned, self._budget, ends)
        apart = await batches.complete(pending, recall=self._recall, keep=self._keep)
        if not apart:
            return
        try:
            draws = [draw for request in apart for draw in request.single_draws()]
            await batches.complete(draws, recall=self._recall, keep=self._keep)
        finally:
            for request in apart:
                self._join(request)
