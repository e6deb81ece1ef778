"""Which of a step's texts an account gets."""

from collections.abc import Sequence

from campaigns.domain.campaign import Step
from campaigns.rules.holdout import draw


def texts_of(
    steps: Sequence[Step], *, key: bytes, campaign: str, account: str
) -> tuple[str, ...]:
    """Return the text of each step for an account, by lot where there are several.

    The lot is a keyed hash: nobody can steer it, and the same account always draws the
    same. It is drawn step by step, so that a text is compared whatever came before.
    """
    return tuple(
        step.texts[
            int(draw(key, "text", campaign, str(number), account) * len(step.texts))
        ]
        for number, step in enumerate(steps, start=1)
    )
