"""The SDGym half of ``bench_sdgym.py``; runs in SDGym's own environment, from ``<root>/single_table``.

Usage: ``python sdgym_grid.py ROOT EPOCHS``. Prints one JSON object: table/synthesizer to quality score.
"""

from __future__ import annotations

import json
import sys

from sdgym import benchmark_single_table, create_synthesizer_variant

root, epochs = sys.argv[1], int(sys.argv[2])
scores = benchmark_single_table(
    synthesizers=["GaussianCopulaSynthesizer"],
    custom_synthesizers=[
        create_synthesizer_variant("ctgan", "CTGANSynthesizer", {"epochs": epochs}),
        create_synthesizer_variant("tvae", "TVAESynthesizer", {"epochs": epochs}),
    ],
    sdv_datasets=None,
    additional_datasets_folder=root,
    compute_quality_score=True,
    compute_diagnostic_score=False,
    compute_privacy_score=False,
)
if "error" in scores and scores["error"].notna().any():
    raise SystemExit(f"SDGym failed:\n{scores.to_string()}")
print(json.dumps({f"{r.Dataset}/{r.Synthesizer}": r.Quality_Score for r in scores.itertuples()}))
