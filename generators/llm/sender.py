"""Sends requests to an endpoint: attempts, pauses between them, and what an endpoint turns out not to know."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...results.errors import UserError
from . import endpoints, failures, replies, transport
from .budget import Budget, Spending, at_most, tokens_of
from .exchange import Reply, Request, Usage
from .failures import DeadlineError, EndpointError, Failure, Secrets
from .settings import LLMSettings

if TYPE_CHECKING:
    import openai

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before the first further attempt, and at most
TOKENIZE_SECONDS = 10.0


@dataclass
class Learned:
    """What was found out about an endpoint.

    Attributes:
        dropped: fields that it refused and that requests go without from then on.
        there: whether it ever answered: one that did may come back.
    """

    dropped: set[str] = field(default_factory=set)
    there: bool = False


class Sender:
    """The way to one endpoint, within one run of an event loop.

    Args:
        settings: of the model and the way to it.
        learned: of the endpoint so far; added to.
        budget: of the sweep.
        usage: of the client; attempts are counted here, paid replies where they are kept.
        ends: monotonic time at which the cell's requests end; a pause that would last longer is not begun.

    Attributes:
        slots: one for each request that may be under way.
    """

    def __init__(self, settings: LLMSettings, learned: Learned, budget: Budget, usage: Spending, ends: float) -> None:
        self._settings, self._learned, self._budget, self._usage, self._ends = settings, learned, budget, usage, ends
        one_by_one = settings.endpoint == "embedded" and settings.exact
        self.slots = asyncio.Semaphore(1 if one_by_one else settings.concurrency)
        self._reason: UserError | None = None
        self._stopped = asyncio.Event()
        self._quiet_until = 0.0
        self._base_url = ""
        self._server = 0
        self._secrets = Secrets()
        self._connections = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Sender:
        await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connections.aclose()

    @property
    def stopped(self) -> UserError | None:
        """Why nothing more is sent."""
        return self._reason

    def stop(self, reason: UserError) -> None:
        """Send nothing more. What is in flight is waited for, as it is being paid."""
        self._reason = self._reason or reason
        self._stopped.set()

    async def reply(self, request: Request) -> Reply | None:
        """Ask for the reply to a request, as many times as it may take; within a slot.

        Returns:
            ``None`` if it is for several draws and the endpoint gives one at a time.

        Raises:
            EndpointError: it will not come.
            DeadlineError: the next attempt would come too late.
            BudgetSpentError: it does not fit.
        """
        attempts = 0
        while True:
            await self._pause()
            if request.draws > 1 and not self._takes_draws:
                return None
            sent = endpoints.body(self._settings, request, self._learned.dropped)
            async with self._turn():
                outcome = await self._paid_attempt(request, sent)
            if isinstance(outcome, Reply):
                return outcome.model_copy(update={"dropped": tuple(sorted(self._learned.dropped))})
            if field := endpoints.refused_field(outcome, sent):
                self._learned.dropped.add(field)
                continue
            if refusal := replies.filtered(outcome, request.key):
                return refusal
            attempts += 1
            embedded = self._settings.endpoint == "embedded"
            passing = outcome.passing and (embedded or self._learned.there or not outcome.absent)
            if not passing or attempts > self._settings.retries:
                tried = f" ({attempts} attempts)" if passing else ""
                told = failures.explain(outcome, self._base_url, self._settings.model, self._settings.key_env)
                raise EndpointError(told + tried)
            if embedded and outcome.absent:
                await self._connect()  # it was stopped: another is started
            self._usage.retries += 1
            await self._pause(self._resumes(attempts, outcome))

    @property
    def _takes_draws(self) -> bool:
        return endpoints.takes_draws(self._settings) and "n" not in self._learned.dropped

    async def _paid_attempt(self, request: Request, sent: dict[str, Any]) -> Reply | Failure:
        """One attempt, reserved in the budget and settled by what came of it."""
        bound = at_most(sent)
        ticket = await self._budget.reserve(bound)
        used: Usage | None = None
        lost = bound.total  # an interrupted attempt may have been billed
        try:
            start, served = time.monotonic(), self._served_seconds()
            outcome = self._read(request, await self._attempt(sent))
            if isinstance(outcome, Reply):
                self._usage.statuses["200"] += 1
                took = {"seconds": time.monotonic() - start, "processor_seconds": self._served_seconds() - served}
                usage = await self._used(request, outcome)
                used, lost = usage if outcome.usage.total else None, 0
                return outcome.model_copy(update={"usage": usage, **took})
            self._usage.statuses[outcome.kind or str(outcome.status)] += 1
            if not outcome.paid:
                used, lost = Usage(), 0
            return outcome
        finally:
            self._usage.lost_tokens += lost
            self._budget.settle(ticket, used)

    def _served_seconds(self) -> float:
        """Processor time of the embedded model's server so far; 0 where there is none on this machine."""
        if not self._server:
            return 0.0
        import psutil

        try:
            times = psutil.Process(self._server).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)

    def _read(self, request: Request, answer: bytes | Failure) -> Reply | Failure:
        if isinstance(answer, Failure):
            return answer
        try:
            return replies.parse(answer, request.key, request.draws, self._secrets)
        except replies.MalformedReplyError as error:
            return Failure(str(error), passing=True, paid=True, kind="malformed")

    async def _attempt(self, sent: dict[str, Any]) -> bytes | Failure:
        """One HTTP request: the body of the answer, or how it failed."""
        seconds = self._settings.request_seconds
        create = self._sdk.chat.completions.with_raw_response.create
        try:
            async with asyncio.timeout(seconds):
                # All in extra_body: arguments are walked through and converted, at a fifth of the whole cost.
                answer = await create(model="", messages=(), extra_body=sent)
        except transport.errors() as error:
            failure = transport.failure_of(error, seconds, self._secrets)
            self._learned.there = self._learned.there or bool(failure.status)
            return failure
        self._learned.there = True
        return answer.http_response.content

    async def _used(self, request: Request, reply: Reply) -> Usage:
        """What the reply cost, estimated where the endpoint does not say, or says it of one choice only."""
        texts = [c.text for c in reply.choices]
        completion = reply.usage.completion_tokens or tokens_of(*texts)
        if len(texts) > 1 and self._settings.endpoint in ("embedded", "llama_cpp"):
            # llama.cpp's usage is that of one choice (build 11549).
            counted = await self._tokenize(texts)
            completion = completion * len(texts) if counted is None else counted
        prompt = reply.usage.prompt_tokens or tokens_of(*(m.content for m in request.messages))
        return Usage(prompt_tokens=prompt, completion_tokens=completion)

    async def _tokenize(self, texts: list[str]) -> int | None:
        root = urlsplit(self._base_url)._replace(path="/tokenize", query="").geturl()
        try:
            async with asyncio.timeout(TOKENIZE_SECONDS):
                # A line break between two choices stands for the token that ended the first.
                found: object = await self._sdk.post(root, cast_to=object, body={"content": "\n".join(texts) + "\n"})
        except transport.errors():
            return None
        tokens = found.get("tokens") if isinstance(found, dict) else None
        return len(tokens) if isinstance(tokens, list) else None

    def _resumes(self, attempts: int, failure: Failure) -> float:
        """Monotonic time of the next attempt: when the endpoint says, for all; else ever later, with jitter."""
        now = time.monotonic()
        if failure.wait:
            self._quiet_until = max(self._quiet_until, now + failure.wait)
            return self._quiet_until
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (attempts - 1))
        return now + longest * random.uniform(0.5, 1)

    async def _pause(self, until: float = 0.0) -> None:
        """Wait until a monotonic time, and for as long as the endpoint wants quiet, which it may say meanwhile."""
        while self._reason is None and (seconds := max(until, self._quiet_until) - time.monotonic()) > 0:
            if time.monotonic() + seconds > self._ends:
                raise deadline(self._settings)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), seconds)
        if self._reason is not None:
            raise self._reason

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._settings.endpoint != "embedded":
            yield
            return
        from .server import turn

        async with _held(turn(self._settings)):
            yield

    async def _connect(self) -> None:
        settings = self._settings
        if settings.endpoint == "embedded":
            from .server import serve

            connection = serve(settings)
            self._base_url, key, self._server = connection.base_url, connection.key, connection.pid
        else:
            self._base_url, key = endpoints.address(settings), endpoints.api_key(settings)
        self._secrets = Secrets(key)
        way = transport.connected(self._base_url, key, settings.query, settings.request_seconds)
        self._sdk: openai.AsyncOpenAI = await self._connections.enter_async_context(way)


def deadline(settings: LLMSettings) -> DeadlineError:
    """The error of a cell whose time is over."""
    return DeadlineError(f"the requests of this cell took longer than llm.cell_seconds={settings.cell_seconds:g}")


@contextlib.asynccontextmanager
async def _held(context: AbstractContextManager[object]) -> AsyncIterator[None]:
    """Hold a context whose entry may block for long, such as a lock, in a thread that nobody need wait for."""
    loop = asyncio.get_running_loop()
    entered: asyncio.Future[None] = loop.create_future()
    left: asyncio.Future[None] = loop.create_future()
    leave = threading.Event()

    def tell(future: asyncio.Future[None], error: BaseException | None = None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def hold() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            try:
                with context:
                    loop.call_soon_threadsafe(tell, entered)
                    leave.wait()
            except BaseException as error:
                loop.call_soon_threadsafe(tell, entered, error)
            loop.call_soon_threadsafe(tell, left)

    threading.Thread(target=hold, daemon=True).start()
    try:
        await entered
        yield
    finally:
        leave.set()
    await left
