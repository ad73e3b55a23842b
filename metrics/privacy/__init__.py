"""Privacy: is the synthetic table nearer to the train rows than to rows that the generator never saw?"""
