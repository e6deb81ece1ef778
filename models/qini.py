"""How well accounts are put in order by uplift: the Qini curve."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]


class QiniCurve(NamedTuple):
    """What mailing the first so many accounts brings, over not mailing them.

    Attributes:
        accounts: How many were mailed, from 0 to all.
        gain: How many came back because of it.
    """

    accounts: Numbers
    gain: Numbers


def qini_curve(
    outcome: ArrayLike, uplift: ArrayLike, treatment: ArrayLike
) -> QiniCurve:
    """Return the curve: highest uplift first.

    Accounts of equal uplift are taken together, so their order changes nothing.
    Source: N. Radcliffe, "Using control groups to target on predicted lift", 2007.

    Args:
        outcome: 0 or 1 of each account (or an amount).
        uplift: By which they are put in order.
        treatment: Whether each was mailed, by lot.
    """
    y, rank, mailed = (np.asarray(each, float) for each in (outcome, uplift, treatment))
    order = np.argsort(-rank, kind="stable")
    y, rank, mailed = y[order], rank[order], mailed[order]
    ends = np.append(np.flatnonzero(np.diff(rank)), len(rank) - 1)
    treated, others = np.cumsum(mailed)[ends], np.cumsum(1 - mailed)[ends]
    back, back_alone = np.cumsum(y * mailed)[ends], np.cumsum(y * (1 - mailed))[ends]
    scale = np.divide(treated, others, out=np.zeros_like(treated), where=others > 0)
    gain = back - back_alone * scale
    return QiniCurve(np.append(0.0, ends + 1.0), np.append(0.0, gain))


def qini(outcome: ArrayLike, uplift: ArrayLike, treatment: ArrayLike) -> float:
    """Return the Qini coefficient: 0 for an order at random, 1 for a perfect one.

    The area between the curve and a straight line, over the same of the order that
    knows each account's arm and outcome.

    >>> qini([1, 0, 0, 1, 1, 0], [0.9, 0.5, 0.2, 0.1, 0.1, 0.05], [1, 0, 1, 0, 1, 0])
    0.269...
    """
    y, mailed = np.asarray(outcome, float), np.asarray(treatment, float)
    perfect = qini_curve(y, y * mailed - y * (1 - mailed), mailed)
    found = qini_curve(y, uplift, mailed)
    straight = found.gain[-1] * len(y) / 2
    most = np.trapezoid(perfect.gain, perfect.accounts) - straight
    area = np.trapezoid(found.gain, found.accounts) - straight
    return float(area / most) if most else 0.0
