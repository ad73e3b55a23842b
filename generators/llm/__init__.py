"""Language models that invent rows: from a description, from statistics, or from some examples."""
