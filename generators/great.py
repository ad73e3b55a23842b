"""GReaT: a language model fine-tuned on rows as sentences (Borisov et al. 2023, ICLR, arXiv 2210.06280).

A row is the text ``age is 63, sex is f, ...`` with its columns in a new random order each time it is seen, so that
any column can follow from any others. To sample, the model continues the value of one column, drawn from the train
rows: the target's, or a column drawn at random where there is none.

This is an implementation of its own on transformers and peft: be-great loads its models from a hub, and knows the
layers of GPT-2 alone. It differs from the paper in the model, the 135 million parameters of SmolLM2 that can be
installed as a package, and in training low-rank adapters (LoRA, Hu et al. 2022) instead of all weights. Replies are
held against the card row by row as those of any language model; rejected rows are counted and drawn again. After a
short training the model often names a column twice and ends without another. The first value stands, and the one
left out is asked for by its name, as the paper does to impute: else the rows that happen to be complete would be a
biased choice.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..benchmarks.columns import Column, Kind
from ..results.errors import UserError
from .tables import TableModel, global_seeds
from .view import Access

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from .llm.respondent import Respondent

MODEL = "smollm2-135m-instruct"
MISSING = "missing"
BATCH = 64  # texts sampled at once


@dataclass(eq=False)
class GReaT(TableModel):
    """SmolLM2-135M, fine-tuned on all train rows.

    Slow: two and a half seconds of one core for a step on eight columns, and half a second for a row.

    Attributes:
        llm: the ``llm`` group of the configuration. It decides no row: where it is the base model as embedded, metrics
            ask it what it knew of a table before it was trained on any of its rows.
        steps: of AdamW.
        batch_size: rows in a step.
        learning_rate: constant.
        rank: of the adapters; their scale is twice the rank.
        temperature: of sampling.
        max_length: most tokens of a row; a longer one is refused before anything is trained.
        attempts: texts sampled for each row asked for, after which the table stays short.
    """

    access = Access.ROWS
    version: ClassVar[str | None] = "1"
    requires = ("torch", "transformers", "peft", "gguf")
    extra = "great"

    llm: Mapping[str, Any] | None = None
    steps: int = 200
    batch_size: int = 8
    learning_rate: float = 1e-3
    rank: int = 16
    temperature: float = 0.7
    max_length: int = 512
    attempts: int = 5

    def __post_init__(self) -> None:
        from .llm.model import resolve

        given = self.llm or {}
        base = (given.get("endpoint"), given.get("model")) == ("embedded", MODEL)
        self._base = resolve(given).settings if base else None

    @classmethod
    def defining(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in params.items() if name != "llm"}

    def language_model(self) -> Respondent | None:
        """The base model, by the server and the cache of generators that ask it for rows."""
        from .llm.respondent import Respondent

        return Respondent(self._base) if self._base else None

    def _fit_rows(self, rows: pd.DataFrame, seed: int) -> None:
        import numpy as np

        self._columns = [c for c in self._schema.columns if c.name in rows.columns]
        self._rows = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
        with global_seeds(seed), _quiet():
            self._tokenizer, self._model = _load(self.rank)
            rng = np.random.default_rng(seed)
            order = [c.name for c in self._columns]
            self._longest = max(len(self._tokens(encode(row, self._columns, order))) for row in self._rows)
            if self._longest > self.max_length:
                raise UserError(f"a row takes {self._longest} tokens, more than max_length={self.max_length}")
            self._train(rng)

    def _train(self, rng: np.random.Generator) -> None:
        import torch

        optimiser = torch.optim.AdamW([p for p in self._model.parameters() if p.requires_grad], lr=self.learning_rate)
        self._model.train()
        rows = _endless(len(self._rows), rng)
        self._trained, began = 0, time.perf_counter()
        for _ in range(self.steps):
            chosen = [self._rows[next(rows)] for _ in range(self.batch_size)]
            texts = [encode(row, self._columns, self._shuffled(rng)) for row in chosen]
            ids, mask = self._padded([[*self._tokens(t), self._tokenizer.eos_token_id] for t in texts], left=False)
            loss = self._model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            self._loss = float(loss.detach())
            self._trained += int(mask.sum())
        self._training_seconds = time.perf_counter() - began
        # On a processor, four bytes a weight and no adapters make sampling faster.
        self._model = self._model.float().merge_and_unload().eval()

    def _sample_rows(self, n: int, seed: int) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        from .llm.judging import accept

        self._texts = self._prompts = 0
        self._read = self._written = 0  # tokens
        self._rejects: Counter[str] = Counter()
        began = time.perf_counter()
        rng = np.random.default_rng(seed)
        tables = [pd.DataFrame(columns=list(self._schema.names))]
        lacking = n
        with global_seeds(seed), _quiet():
            while lacking > 0 and self._texts < self.attempts * n:
                texts = [self._start(rng) for _ in range(min(BATCH, lacking))]
                raw = [{**row, **self._held()} for row in self._completed(texts, rng)]
                accepted = accept(raw, self._schema)
                self._texts += len(texts)
                self._rejects.update(accepted.rejects)
                lacking -= len(accepted.table)
                tables.append(accepted.table)
        self._sampling_seconds = time.perf_counter() - began
        filled = [table for table in tables if len(table)] or tables
        return pd.concat(filled, ignore_index=True)

    def details(self) -> dict[str, Any]:
        if self._empty:
            return {}
        from .llm.models import digest_of

        # In the words of generators that ask the same file for rows: the two are one model.
        model = {"endpoint": "embedded", "model": MODEL, "digest": digest_of(MODEL)}
        valid = self._texts - self._rejects.total()
        return {
            "llm": {
                "model": model | {"temperature": self.temperature, "top_p": 1.0},
                "prompt_tokens": self._read,
                "completion_tokens": self._written,
                "seconds": round(self._sampling_seconds, 3),
                "rows_read": self._texts,
                "rejects": dict(sorted(self._rejects.items())),
                "tokens_per_valid_row": round((self._read + self._written) / valid, 2) if valid else None,
                "seconds_per_valid_row": round(self._sampling_seconds / valid, 3) if valid else None,
                "asked_by_name": self._prompts,
            },
            "training": {
                "steps": self.steps,
                "batch_size": self.batch_size,
                "learning_rate": self.learning_rate,
                "lora": lora(self.rank),
                "tokens": self._trained,
                "seconds_per_step": round(self._training_seconds / self.steps, 3),
                "final_loss": self._loss,
            },
        }

    def _held(self) -> dict[str, Any]:
        """Values of the columns that the model does not see, because they never vary."""
        return {name: None if _is_missing(value) else value for name, value in self._constants.items()}

    def _shuffled(self, rng: np.random.Generator) -> list[str]:
        return [self._columns[i].name for i in rng.permutation(len(self._columns))]

    def _start(self, rng: np.random.Generator) -> str:
        names = [c.name for c in self._columns]
        name = self._schema.target if self._schema.target in names else names[int(rng.integers(len(names)))]
        row = self._rows[int(rng.integers(len(self._rows)))]
        return encode(row, self._columns, [str(name)]) + ("," if len(names) > 1 else "")

    def _completed(self, starts: list[str], rng: np.random.Generator) -> list[dict[str, str | None]]:
        """Rows from their first values. Where the model ends early, a column that it left out is asked for by name."""
        rows: list[dict[str, str | None]] = [{} for _ in starts]
        prompts = dict(enumerate(starts))
        for _ in range(1 + len(self._columns)):
            for i, text in zip(prompts, self._continued(list(prompts.values())), strict=True):
                rows[i] = decode(text, self._columns)
            prompts = {}
            for i, row in enumerate(rows):
                left = [c.name for c in self._columns if c.name not in row]
                if left:
                    prompts[i] = ", ".join([*map(_sentence, row.items()), f"{left[int(rng.integers(len(left)))]} is"])
            if not prompts:
                break
            self._prompts += len(prompts)
        return rows

    def _continued(self, starts: list[str]) -> list[str]:
        import torch

        ids, mask = self._padded([self._tokens(text) for text in starts], left=True)
        with torch.inference_mode():
            written = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=math.ceil(1.25 * self._longest) + 1,
                do_sample=True,
                temperature=self.temperature,
                top_k=0,
                top_p=1.0,
                pad_token_id=self._tokenizer.eos_token_id,
                eos_token_id=self._tokenizer.eos_token_id,
            )
        written = written[:, ids.shape[1] :]
        self._read += int(mask.sum())
        self._written += int((written != self._tokenizer.eos_token_id).sum())
        new = self._tokenizer.batch_decode(written, skip_special_tokens=True)
        return [start + text for start, text in zip(starts, new, strict=True)]

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _padded(self, tokens: Sequence[list[int]], *, left: bool) -> tuple[Any, Any]:
        """Token ids and their mask, both of shape ``(texts, longest)``."""
        import torch

        longest = max(map(len, tokens))
        gaps = [[self._tokenizer.eos_token_id] * (longest - len(t)) for t in tokens]
        ids = [g + t if left else t + g for g, t in zip(gaps, tokens, strict=True)]
        pairs = [([0] * len(g), [1] * len(t)) for g, t in zip(gaps, tokens, strict=True)]
        return torch.tensor(ids), torch.tensor([g + t if left else t + g for g, t in pairs])


def encode(row: Mapping[str, Any], columns: Sequence[Column], order: Sequence[str]) -> str:
    """Write a row as ``column is value, ...``.

    Args:
        row: column to canonical value.
        columns: of the table.
        order: names of the columns to write.
    """
    by_name = {c.name: c for c in columns}
    return ", ".join(f"{name} is {_text(row[name], by_name[name])}" for name in order)


def decode(text: str, columns: Sequence[Column]) -> dict[str, str | None]:
    """Read a row back as far as it goes: column to the text of its value, ``None`` for missing; never raises.

    A column that comes twice has its first value. Everything behind a line break is ignored.
    """
    text = text.partition("\n")[0]
    # The longest first, because one name may begin with another.
    names = sorted((c.name for c in columns), key=len, reverse=True)
    marks = list(re.finditer(rf"(?:^|,\s*)({'|'.join(map(re.escape, names))}) is ", text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    by_name = {c.name: c for c in columns}
    row: dict[str, str | None] = {}
    for mark, end in zip(marks, ends, strict=False):
        value = text[mark.end() : end].strip()
        known = value in by_name[mark[1]].codes
        row.setdefault(mark[1], None if value == MISSING and not known else value)
    return row


def _sentence(item: tuple[str, str | None]) -> str:
    name, text = item
    return f"{name} is {MISSING if text is None else text}"


def _text(value: Any, column: Column) -> str:
    if _is_missing(value):
        return MISSING
    if not column.numeric:
        return str(value)
    places = 0 if column.kind is Kind.INTEGER else column.decimals
    short = repr(float(value)).removesuffix(".0")
    if places is None:
        return short
    fixed = f"{value:.{places}f}"
    return fixed if float(fixed) == value else short


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _endless(n: int, rng: np.random.Generator) -> Iterator[int]:
    """Numbers of rows, in a new order in every epoch."""
    while True:
        yield from (int(i) for i in rng.permutation(n))


def _load(rank: int) -> tuple[Any, Any]:
    """Tokenizer, and the model with fresh adapters; by the global seed.

    Raises:
        UserError: the model is not installed, or is not what its maker published.
    """
    import torch

    from .llm.models import locate

    file = locate(MODEL)
    with _without_torchvision():
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        where: dict[str, Any] = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
        tokenizer = AutoTokenizer.from_pretrained(**where)
        model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.bfloat16)
    return tokenizer, get_peft_model(model, LoraConfig(**lora(rank), task_type="CAUSAL_LM"))


def lora(rank: int) -> dict[str, Any]:
    """Settings of the adapters, as peft names them."""
    return {"r": rank, "lora_alpha": 2 * rank, "target_modules": "all-linear"}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Swallow progress bars and warnings of the libraries; errors still come through."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _without_torchvision() -> Iterator[None]:
    """Hide torchvision from transformers, which would load it, and fail on one that does not fit torch.

    Whatever imported transformers before may have asked it for torchvision: what it remembers is forgotten.
    """
    from transformers.utils import import_utils

    def forget() -> None:
        for name, remembered in vars(import_utils).items():
            if name.startswith("is_torchvision") and hasattr(remembered, "cache_clear"):
                remembered.cache_clear()

    hidden = "torchvision" not in sys.modules
    if hidden:
        sys.modules["torchvision"] = None  # type: ignore[assignment]
    forget()
    try:
        yield
    finally:
        if hidden:
            del sys.modules["torchvision"]
        forget()
