"""Utility: does a model trained on the synthetic table predict the target of real patients?"""
