import re
import subprocess

import pytest

from tests.conftest import shared


@pytest.fixture(scope="module")
def measure(winback):
    def measure(path, *options):
        command = [winback, "measure", "--file", str(path), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return measure


PUBLISHED = [
    # Differences in means with Wald's interval, as published; in points, but of spend.
    ("visit", "Womens E-Mail", None, (4.523, 3.889, 5.157)),
    ("visit", "Mens E-Mail", None, (7.659, 6.995, 8.323)),
    ("visit", "any other", None, (6.088, 5.544, 6.633)),
    ("conversion", "any other", None, (0.495, 0.355, 0.636)),
    ("visit", "any other", "recency >= 7", (5.953, 5.201, 6.705)),
]


@pytest.mark.parametrize(("outcome", "arm", "where", "expected"), PUBLISHED)
def test_hillstroms_trial_shows_what_was_published(
    measure, outcome, arm, where, expected
):
    path = shared("data", "hillstrom", "hillstrom.csv.gz")
    options = ["--treatment", "segment", "--outcome", outcome]
    done = measure(path, *options, *(["--where", where] if where else []))

    assert done.returncode == 0, done.stderr
    part = done.stdout[done.stdout.index(f"{arm} against No E-Mail") :]
    line = re.search(r"Newcombe\) +(\S+) \[(\S+), (\S+)\]", part)
    value, *ends = (float(each) for each in line.groups())
    assert value == pytest.approx(expected[0], abs=5e-4)
    # Newcombe's interval is not Wald's; with so many accounts they nearly agree.
    assert ends == pytest.approx(expected[1:], abs=0.01)


def test_hillstroms_spend_is_measured_by_giving_out_the_arms_anew(measure):
    path = shared("data", "hillstrom", "hillstrom.csv.gz")
    done = measure(path, "--treatment", "segment", "--outcome", "spend")

    part = done.stdout[done.stdout.index("any other against No E-Mail") :]
    line = re.search(r"permutation\) +(\S+) \[(\S+), (\S+)\]", part)
    value, *ends = (float(each) for each in line.groups())
    assert value == pytest.approx(0.597, abs=1e-3)
    assert ends == pytest.approx((0.376, 0.817), abs=0.03)


ROWS = "arm,back\n" + "mail,1\nmail,0\nholdout,0\nholdout,0\n" * 20


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (ROWS, ["--control", "none"], "there is no arm 'none'; there are: 'holdout'"),
        ("arm,back\na,1\nb,0\n", [], "which arm got nothing? name it with --control"),
        ("arm,back\na,1\na,0\n", [], "a trial has two arms or more; here are: 'a'"),
        ("arm,back\n", [], "a trial has two arms or more; here are: none"),
        ("arm,back\nmail,12.5\nholdout,3\n", [], "an arm has 1 accounts; amounts need"),
    ],
)
def test_a_file_that_shows_nothing_is_refused_with_the_reason(
    measure, tmp_path, text, options, said
):
    path = tmp_path / "trial.csv"
    path.write_text(text)
    done = measure(path, "--treatment", "arm", "--outcome", "back", *options)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_arms_of_another_size_than_planned_and_rows_left_out_are_said(
    measure, tmp_path
):
    path = tmp_path / "trial.csv"
    path.write_text(ROWS + "mail,perhaps\n" + "mail,1\n" * 200)
    options = ["--treatment", "arm", "--outcome", "back", "--control-share", "0.5"]
    done = measure(path, *options)

    assert "not as large as they were to be" in done.stdout
    assert "1 rows were left out (of arms: mail 1):" in done.stdout
    assert "row 81, back: is not a number" in done.stdout
