"""Seeds by axis: one number from the user, an independent stream for every use of it."""

from __future__ import annotations

import hashlib


def derive(seed: int, *axis: str) -> int:
    """Derive the seed of one axis, such as ``("generator", "fit")``, from the user's seed.

    Hashing keeps neighbouring seeds and neighbouring axes independent, so that seed 1 of the
    split shares nothing with seed 1 of the generator.

    Args:
        seed: the seed of the sweep's axis, any integer.
        axis: names of the use, from the general to the particular.

    Returns:
        An integer in ``[0, 2**31)``, which every library in use accepts.
    """
    digest = hashlib.sha256("/".join([str(seed), *axis]).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
