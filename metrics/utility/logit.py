"""Logistic regression by maximum likelihood, with the Wald intervals that a table of a paper shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEPS = 50  # of Newton's method; a likelihood with a maximum takes about ten
TOLERANCE = 1e-10
RIDGE = 1e-3  # where the likelihood has no maximum: a standard error of about 30 at most
DEPENDENT = 1e-8  # share of a column's length that the columns before it leave unexplained
Z = 1.959963984540054  # of a 95 % interval


class NoFitError(ValueError):
    """The log-odds cannot be computed; the message says why."""


@dataclass(frozen=True)
class Fit:
    """Log-odds of a logistic regression.

    Attributes:
        coefficients: shape ``(columns,)``.
        errors: their standard errors, from the information matrix, same shape.
        separated: whether a ridge had to hold them finite, because some columns tell the classes apart without fail.
    """

    coefficients: np.ndarray
    errors: np.ndarray
    separated: bool = False

    @property
    def low(self) -> np.ndarray:
        """Lower bounds of the 95 % intervals."""
        return self.coefficients - Z * self.errors

    @property
    def high(self) -> np.ndarray:
        """Upper bounds of the 95 % intervals."""
        return self.coefficients + Z * self.errors


def fit(x: np.ndarray, y: np.ndarray) -> Fit:
    """Fit a logistic regression by Newton's method (iteratively reweighted least squares).

    Where the likelihood has no maximum, it is fitted again with a ridge of ``RIDGE`` on all columns, scaled to a mean
    square of 1.

    Args:
        x: independent columns, the intercept among them, shape ``(rows, columns)``.
        y: 0 or 1, shape ``(rows,)``.

    Raises:
        NoFitError: that does not converge either.
    """
    scale = np.sqrt((x * x).mean(axis=0))
    for ridge in (0.0, RIDGE):
        found = _newton(x / scale, y, ridge)
        if found is not None:
            coefficients, errors = found
            return Fit(coefficients / scale, errors / scale, separated=ridge > 0)
    raise NoFitError("the log-odds do not converge")


def independent(x: np.ndarray) -> np.ndarray:
    """Which columns no combination of the columns before them gives, by modified Gram-Schmidt.

    Returns:
        Boolean array of shape ``(columns,)``.
    """
    with np.errstate(all="ignore"):
        # Of R of the QR decomposition, whose columns depend on each other as those of x do, and are short.
        rest: np.ndarray = np.asarray(np.linalg.qr(x, mode="r"))
        length = np.sqrt((rest * rest).sum(axis=0))
        rest = rest / np.where(length > 0, length, 1.0)
        kept = np.zeros(x.shape[1], dtype=bool)
        for j in range(x.shape[1]):
            left = np.sqrt(rest[:, j] @ rest[:, j])
            kept[j] = left > DEPENDENT  # which NaN is not
            if kept[j]:
                unit = rest[:, j] / left
                rest[:, j + 1 :] -= np.outer(unit, unit @ rest[:, j + 1 :])
    return kept


def _newton(x: np.ndarray, y: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Coefficients and standard errors, or ``None`` if there is no maximum."""
    from scipy.special import expit

    penalty = ridge * np.eye(x.shape[1])
    coefficients = np.zeros(x.shape[1])
    likelihood = _likelihood(x, y, coefficients, ridge)
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            probability = expit(x @ coefficients)
            information = (x * (probability * (1 - probability))[:, None]).T @ x + penalty
            try:
                step = np.linalg.solve(information, x.T @ (y - probability) - ridge * coefficients)
            except np.linalg.LinAlgError:
                return None
            if not np.isfinite(step).all():
                return None
            while (better := _likelihood(x, y, coefficients + step, ridge)) < likelihood - TOLERANCE * abs(likelihood):
                step /= 2
            coefficients, likelihood = coefficients + step, better
            if np.abs(step).max() <= TOLERANCE * (1 + np.abs(coefficients).max()):
                return coefficients, np.sqrt(np.diag(np.linalg.inv(information)))
    return None


def _likelihood(x: np.ndarray, y: np.ndarray, coefficients: np.ndarray, ridge: float) -> float:
    """The penalised log-likelihood."""
    odds = x @ coefficients
    return float(np.sum(y * odds - np.logaddexp(0, odds)) - ridge / 2 * coefficients @ coefficients)
