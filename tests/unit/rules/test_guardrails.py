from random import Random

import numpy as np
import pytest

from campaigns.rules.guardrails import Feedback, reason_to_pause
from campaigns.rules.rollout import may_post

RUNS = 2_000


def stopped_after(rng, *, bounces=0.0, complaints=0.0, mails, runs=RUNS):
    """Return after how many mails each run was stopped; more than `mails` if never."""
    bounced = np.cumsum(rng.random((runs, mails)) < bounces, axis=1)
    complained = np.cumsum(rng.random((runs, mails)) < complaints, axis=1)
    moments = []
    for by_mail, annoyed in zip(bounced, complained, strict=True):
        # Counts matter only where they grow: in between the evidence falls.
        grew = np.flatnonzero(np.diff(by_mail + annoyed, prepend=0))
        stopped = (
            n + 1
            for n in grew.tolist()
            if reason_to_pause(Feedback(n + 1, int(by_mail[n]), int(annoyed[n])))
        )
        moments.append(next(stopped, mails + 1))
    return np.array(moments)


@pytest.mark.parametrize(
    ("rates", "within"),
    [
        ({"bounces": 0.10}, 200),
        ({"bounces": 0.05}, 1_200),
        ({"complaints": 0.003}, 5_000),
    ],
)
def test_a_harmful_rate_is_stopped_soon(rates, within):
    moments = stopped_after(np.random.default_rng(1), mails=within, runs=500, **rates)

    assert (moments <= within).mean() >= 0.9


def posted_until_paused(rng, *, bounces, per_second, late_seconds, most):
    """Return how many mails are out when a campaign pauses; a look every 5 seconds."""
    bounced, posted_at, known, count, may = [], [], 0, 0, may_post(0, first=50)
    for second in range(20_000):
        if second % 5 == 0:
            while known < len(posted_at) and posted_at[known] + late_seconds <= second:
                count += bounced[known]
                known += 1
            if len(posted_at) > most or reason_to_pause(Feedback(known, count, 0)):
                break
            may = may_post(known, first=50)
        left = per_second if may is None else may - len(posted_at)
        for _ in range(min(per_second, left)):
            posted_at.append(second)
            bounced.append(rng.random() < bounces)
    return len(posted_at)


@pytest.mark.parametrize("speed", [(14, 5), (14, 60), (50, 30)])
@pytest.mark.parametrize(("bounces", "most"), [(0.1, 200), (0.05, 1_200)])
def test_a_harmful_rate_is_stopped_soon_also_where_events_come_late(
    bounces, most, speed
):
    rng = Random(1)
    per_second, late_seconds = speed
    out = [
        posted_until_paused(
            rng, bounces=bounces, per_second=per_second, late_seconds=late_seconds,
            most=most,
        )
        for _ in range(200)
    ]  # fmt: skip
    assert sum(each <= most for each in out) >= 0.9 * len(out)


@pytest.mark.parametrize("rates", [{"bounces": 0.025}, {"complaints": 0.0005}])
def test_a_harmless_rate_goes_on_however_often_one_looks(rates):
    moments = stopped_after(np.random.default_rng(2), mails=5_000, runs=1_000, **rates)

    # One in a hundred at most; and what chance may add to a thousand runs of it.
    assert (moments <= 5_000).sum() <= 10 + 3 * np.sqrt(10)


def test_two_complaints_stop_nothing():
    assert reason_to_pause(Feedback(known=2, bounced=0, complained=2)) is None
    assert "3 complaints" in reason_to_pause(Feedback(known=3, bounced=0, complained=3))
