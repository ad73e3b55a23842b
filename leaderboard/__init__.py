"""From records to tables: aggregation, a static page, Markdown and a terminal summary.

Knows records alone (:mod:`synthward.results`), so a board builds without Hydra, torch or a generator.
"""
