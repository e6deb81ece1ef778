import numpy as np
import pytest

from campaigns.rules.guardrails import Feedback, reason_to_pause

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


@pytest.mark.parametrize("rates", [{"bounces": 0.025}, {"complaints": 0.0005}])
def test_a_harmless_rate_goes_on_however_often_one_looks(rates):
    moments = stopped_after(np.random.default_rng(2), mails=5_000, runs=1_000, **rates)

    # One in a hundred at most; and what chance may add to a thousand runs of it.
    assert (moments <= 5_000).sum() <= 10 + 3 * np.sqrt(10)


def test_two_complaints_stop_nothing():
    assert reason_to_pause(Feedback(known=2, bounced=0, complained=2)) is None
    assert "3 complaints" in reason_to_pause(Feedback(known=3, bounced=0, complained=3))
