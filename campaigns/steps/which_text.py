"""Which of a step's texts brings back more."""

from collections.abc import Sequence
from itertools import groupby

from campaigns.domain.values import ArmCount
from campaigns.present.lines import StepTexts, TextLine
from campaigns.present.remarks import text_sentence
from campaigns.store.texts import TextCount


def step_texts(counts: Sequence[TextCount]) -> tuple[StepTexts, ...]:
    """Return the comparison of each step's texts over closed windows.

    Args:
        counts: Ordered by step, then by when windows closed.
    """
    return tuple(
        _one_step(step, list(group))
        for step, group in groupby(counts, lambda each: each.step)
    )


def _one_step(step: int, counts: Sequence[TextCount]) -> StepTexts:
    from campaigns.rules.measure.variants import compare  # imports scipy

    cohorts = [
        {each.text: each.counted for each in group}
        for _, group in groupby(counts, lambda each: each.cohort)
    ]
    lines = tuple(
        TextLine(
            name,
            ArmCount(
                sum(cohort[name].accounts for cohort in cohorts if name in cohort),
                sum(cohort[name].returned for cohort in cohorts if name in cohort),
            ),
        )
        for name in sorted({each.text for each in counts})
    )
    best = compare(cohorts).best
    return StepTexts(f"step {step}", text_sentence(best, lines), best, lines)
