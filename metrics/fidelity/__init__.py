"""Fidelity: does the synthetic table look like the test rows?"""
