"""The likeliest rates of two arms whose difference is given."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


def second_rate(
    returned: tuple[Floats, Floats], accounts: tuple[Floats, Floats], difference: Floats
) -> Floats:
    """Return the second arm's likeliest rate if the first's is larger by `difference`.

    The likelihood's derivative is a cubic whose wanted root has a closed form. Counts
    need not be whole: with expected ones the result is the point of that line nearest
    to the expectation, by Kullback and Leibler's measure.
    Source: O. Miettinen and M. Nurminen, Statistics in Medicine 4 (1985), 213-226,
    appendix I.

    Args:
        returned: Of the first and of the second arm.
        accounts: Of the first and of the second arm; at least one is above 0.
        difference: First minus second, from -1 to 1; all arrays broadcast.

    >>> counts = np.array([56.0]), np.array([48.0])
    >>> second_rate(counts, (np.array([70.0]), np.array([80.0])), np.array([0.0]))
    array([0.69333333])
    """
    (x1, x2), (n1, n2), d = returned, accounts, difference
    n, x = n1 + n2, x1 + x2
    quadratic = ((n1 + 2 * n2) * d - n - x) / n
    linear = ((n2 * d - n - 2 * x2) * d + x) / n
    constant = x2 * d * (1 - d) / n
    third = quadratic / 3
    square = third * third
    v = third * (square - linear / 2) + constant / 2
    radius = np.sqrt(np.maximum(square - linear / 3, 0))
    u = np.copysign(radius, v)
    cosine = np.divide(v, u * u * u, out=np.ones_like(v), where=radius > 0)
    angle = (np.pi + np.arccos(np.clip(cosine, -1, 1))) / 3
    root = 2 * u * np.cos(angle) - third
    return np.asarray(np.clip(root, np.maximum(0, -d), np.minimum(1, 1 - d)))
