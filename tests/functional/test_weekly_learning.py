"""Learning week by week, as the benchmark runs it, lets a model choose if it helps."""

import pytest

from benchmarks.weekly_learning import leaves_mailing_all


@pytest.mark.proof
@pytest.mark.parametrize(("harmed_share", "first"), [(0.4, 6_000), (0.0, 1_000)])
def test_a_model_chooses_only_where_mails_put_some_off(harmed_share, first):
    found = leaves_mailing_all(3, harmed_share=harmed_share, first=first, weeks=1)

    assert found == bool(harmed_share)
