"""The embedded model: our way of asking beside a naive loop, and what each row format costs, in one run.

The naive loop sends one request at a time for one row as a JSON object, and the server reads the whole prompt
again each time. Ours asks for several draws of one prompt, as CSV. Both hold the reply to the card by a grammar,
both are exact (bit-reproducible), both ask the same model on the same thread about the same table: rows per
second are comparable, whatever the number of rows.

Then each format: tokens for a valid row, prompt and reply, with the same draws; and the share of valid rows.

Bars: 3 x the rows per second of the naive loop; at most half of the tokens of the naive loop's JSON for a row.
"""

from __future__ import annotations

import argparse
import time
from importlib.resources import files

import yaml
from synthward.benchmarks.dataset import Protocol
from synthward.benchmarks.sources import load_dataset
from synthward.generators import TrainView
from synthward.generators.llm.zero_shot import ZeroShot

CONF = files("synthward.conf")


def run(dataset, n: int, **changes) -> tuple[float, dict]:
    """Rows per second, and the account, of ``n`` rows by the zero-shot generator without a cache."""
    settings = yaml.safe_load((CONF / "llm" / "embedded.yaml").read_text())
    generator = ZeroShot({**settings, "cache": None, "ledger": None, "cell_seconds": 7200, **changes})
    generator.prepare()
    view = TrainView(dataset.schema, dataset.split(Protocol()), generator.access, dataset.card)
    generator.fit(view, 0)
    generator.sample(1, 99)  # the first request loads what is loaded late
    start = time.perf_counter()
    rows = len(generator.sample(n, 0))
    return rows / (time.perf_counter() - start), generator.details()["llm"]


def main() -> None:
    """Run both loops and all formats, and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="licorice", help="name of a public table (%(default)s)")
    parser.add_argument("--rows", type=int, default=200, help="of ours (%(default)s)")
    parser.add_argument("--naive-rows", type=int, default=24, help="of the naive loop, which is slow (%(default)s)")
    options = parser.parse_args()
    dataset = load_dataset(yaml.safe_load((CONF / "dataset" / f"{options.dataset}.yaml").read_text()))
    naive_speed, naive = run(dataset, options.naive_rows, format="json", draws=1)
    speed, ours = run(dataset, options.rows)
    print(f"{options.dataset}: {len(dataset.schema.columns)} columns, {ours['model']['model']}")
    print(f"naive loop: {naive_speed:.2f} rows/s, {naive['tokens_per_valid_row']:.0f} tokens per valid row")
    print(f"ours:       {speed:.2f} rows/s, {ours['tokens_per_valid_row']:.0f} tokens per valid row")
    print(f"rows per second: {speed / naive_speed:.1f} x the naive loop (bar: 3 x)")
    share = ours["tokens_per_valid_row"] / naive["tokens_per_valid_row"]
    print(f"tokens per valid row: {share:.2f} of the naive loop's\n")
    print(f"{'format':8} {'rows/s':>7} {'reply tokens/row':>17} {'all tokens/row':>15} {'valid':>7}")
    written = {}
    for format in ("csv", "array", "json"):
        rate, facts = run(dataset, 2 * ours["model"]["draws"], format=format)
        valid = facts["rows_read"] - sum(facts["rejects"].values())
        written[format] = facts["completion_tokens"] / valid
        tokens = f"{written[format]:17.1f} {facts['tokens_per_valid_row']:15.1f}"
        print(f"{format:8} {rate:7.2f} {tokens} {valid / facts['rows_read']:7.1%}")
    print(f"\nreply tokens per valid row: csv {written['csv'] / written['json']:.2f} of json (bar: .5)")


if __name__ == "__main__":
    main()
