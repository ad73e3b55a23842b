"""A language model for tests: writes rows of a schema, drawn from the seed of a request, in the form asked for."""

import json
import re

import numpy as np
from synthward.generators.llm.formats import FORMATS


def writes_rows(schema, missing=0.0, format="csv", rows=1):
    """An answer for :class:`llm_endpoint.Endpoint`: valid rows in the order of columns that the prompt gives.

    A request with a JSON schema gets structured output, whatever the format is.
    """

    def answer(body, choice):
        prompt = body["messages"][-1]["content"]
        names = [m.group(1) for m in re.finditer(r"^- (.+?): ", prompt, re.M)][: len(schema.columns)]
        rng = np.random.default_rng([body.get("seed", 0), choice, 7])
        order = [schema[name] for name in names]
        made = [{c.name: value(c, rng, missing) for c in order} for _ in range(rows)]
        if "response_format" in body:
            return f'{{"rows": [{", ".join(FORMATS["json"].write(row, order) for row in made)}]}}'
        return "\n".join(FORMATS[format].write(row, order) for row in made)

    return answer


def value(column, rng, missing):
    if column.missing and rng.random() < missing:
        return None
    if not column.numeric:
        return str(rng.choice(list(column.codes)))
    low, high = column.bounds
    drawn = rng.uniform(low, high)
    return float(round(drawn)) if column.kind == "integer" else round(drawn, column.decimals or 2)


def group(endpoint, **more):
    """The ``llm`` group of a configuration that asks an endpoint under test."""
    settings = {
        "endpoint": "openai",
        "model": "test-model",
        "base_url": endpoint.url,
        "draws": 4,
        "rows_per_reply": 1,
        "format": "csv",
        "structure": "none",
        "request_seconds": 10,
    }
    return settings | more


def overrides(**settings):
    """The same as overrides of a sweep."""
    return [f"llm.{k}={json.dumps(v) if isinstance(v, bool) else v}" for k, v in settings.items()]
