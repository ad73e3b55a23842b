"""Metrics that hang, die and raise."""

import os
import time

from synthward.metrics import Value, metric


@metric(family="fidelity", direction="max", definition="Never answers.")
def hangs(evaluation):
    time.sleep(600)


@metric(family="fidelity", direction="max", definition="Answers after two seconds.")
def slow(evaluation):
    time.sleep(2)
    return Value(1.0)


@metric(family="fidelity", direction="max", definition="Ends the process.")
def dies(evaluation):
    os.kill(os.getpid(), 9)


@metric(family="fidelity", direction="max", definition="Raises.")
def raises(evaluation):
    raise ZeroDivisionError("odd")
