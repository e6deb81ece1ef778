"""The engine in worlds where everything goes wrong: and a check that can fail."""

import logging

import pytest
import structlog

from benchmarks.breakages import BREAKAGES, found_by_worlds
from campaigns.simulation.trials import bench, simulate


@pytest.fixture
def quiet():
    configured = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
    yield
    structlog.configure(**configured)


def test_no_promise_is_broken_and_a_seed_replays_its_world(quiet):
    with bench() as shared:
        outcomes = list(simulate(shared, range(1, 13)))
        (again,) = simulate(shared, [3])

    assert [outcome.broken for outcome in outcomes] == [[]] * 12
    assert again == outcomes[2]
    happened = {name for outcome in outcomes for name in outcome.mishaps}
    assert {"killed", "unsubscribed", "came back", "address changed"} <= happened
    assert {"SES: time_out_after_accept", "SES: cut_answer"} <= happened
    assert sum(outcome.mails for outcome in outcomes) > 20


# Those that are found soon; `make proof-delivery` tries all.
SOON = [each for each in BREAKAGES if each.within <= 15]


@pytest.mark.parametrize("breakage", SOON, ids=lambda each: each.name)
def test_a_broken_engine_is_found_out(breakage, tmp_path):
    """Else the check above could not fail, and would say nothing."""
    assert found_by_worlds(breakage, tmp_path)
