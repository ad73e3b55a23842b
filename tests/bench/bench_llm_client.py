"""What the LLM client itself costs, with an endpoint in another process that answers at once.

Bars: 200 requests per second or more with the cache on; a re-run from the cache at 1,000 rows per second or more,
with one row a reply. For comparison, the bare ``openai`` package on the same requests at the same concurrency.

Usage: python tests/bench/bench_llm_client.py [--requests N]
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from synthward.generators.llm.client import Client
from synthward.generators.llm.exchange import Message, Request
from synthward.generators.llm.settings import LLMSettings

TESTS = Path(__file__).parents[1]
CONCURRENCY = 16
PROMPT = "Make one row of a table of patients in intensive care, with these columns.\n" + 40 * "name: meaning, unit\n"


def requests_of(settings: LLMSettings, count: int) -> list[Request]:
    message = Message(role="user", content=PROMPT)
    return [Request(model=settings.defining, messages=(message,), max_tokens=60, index=i) for i in range(count)]


def per_second(count: int, start: float) -> float:
    return count / (time.perf_counter() - start)


async def bare(url: str, count: int) -> None:
    """The same requests through the openai package alone."""
    import openai

    messages = [{"role": "user", "content": PROMPT}]
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        queue = iter(range(count))

        async def work() -> None:
            for index in queue:
                await client.chat.completions.create(model="m", messages=messages, max_tokens=60, seed=index)

        await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000)
    count = parser.parse_args().requests
    server = subprocess.Popen([sys.executable, str(TESTS / "llm_endpoint.py")], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            fields = {"endpoint": "openai", "model": "m", "base_url": url, "concurrency": CONCURRENCY}
            settings = LLMSettings(**fields, cache=folder, ledger=f"{folder}/ledger.jsonl")
            requests = requests_of(settings, count)
            Client(settings.model_copy(update={"cache": None})).complete(requests[:20])  # imports and first connections

            start = time.perf_counter()
            Client(settings).complete(requests)
            paid = per_second(count, start)
            start = time.perf_counter()
            rows = sum(len(reply.choices) for reply in Client(settings).complete(requests))
            cached = per_second(rows, start)
            start = time.perf_counter()
            asyncio.run(bare(url, count))
            alone = per_second(count, start)
    finally:
        server.kill()
        server.wait()
    print(f"requests per second, cache on:  {paid:7.0f}   bar 200")
    print(f"rows per second from the cache: {cached:7.0f}   bar 1,000")
    print(f"the openai package alone:       {alone:7.0f}   requests per second; ours makes {paid / alone:.2f} of that")


if __name__ == "__main__":
    main()
