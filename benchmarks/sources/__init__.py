"""Where tables come from: one loader per origin, and ``load_dataset``, which runs and checks them."""

from __future__ import annotations

from .extras import import_extra
from .loading import build_dataset, forget_loaded, load_dataset

__all__ = ["build_dataset", "forget_loaded", "import_extra", "load_dataset"]
