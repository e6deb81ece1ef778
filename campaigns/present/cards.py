"""A model's card as a value: where it comes from, how good it is, and its limits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from campaigns.domain.words import ModelKind
from campaigns.present.words import number, percent, signed

_USUALLY: Final = 0.95
_QUESTIONS: Final = {
    ModelKind.SEGMENTS: "How did a churned account use the product?",
    ModelKind.PROPENSITY: "Who comes back unprompted?",
    ModelKind.UPLIFT: "Whom does a mail help?",
}
_LIMITS: Final = {
    ModelKind.SEGMENTS: (
        "It knows no segments but those it was taught: others get the nearest of them.",
        "Reasons say what the model went by, not why the account left.",
    ),
    ModelKind.PROPENSITY: (
        "It was learnt from accounts that nobody mailed.",
        "Where returns become rarer for all, it is off until it learns again.",
        "A high chance is no reason for a mail, nor against one.",
    ),
    ModelKind.UPLIFT: (
        "One account's uplift is uncertain; only sums over many accounts are known.",
        "It holds for mails like those that were sent. A new text may help others.",
    ),
}


class Section(NamedTuple):
    """A part of a card: a table, or sentences where there are no columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class Card(NamedTuple):
    """What people should know of a model.

    Attributes:
        kind: Of the model.
        version: Its name.
        question: What it answers.
        sentence: What it reaches.
        is_active: Whether it is used.
        sections: The rest.
        bins: Accounts, stated and observed chances, for the chart; or none.
        kept: What its chances are of, for the chart.
    """

    kind: ModelKind
    version: str
    question: str
    sentence: str
    is_active: bool
    sections: tuple[Section, ...]
    bins: tuple[tuple[int, float, float], ...]
    kept: str


def card_of(
    metadata: Mapping[str, Any],
    *,
    sentence: str,
    is_active: bool,
    decisions: Sequence[tuple[str, str, str]],
) -> Card:
    """Return a model's card.

    Args:
        metadata: What was stored of it.
        sentence: What it reaches, in words.
        is_active: Whether it is used.
        decisions: Day, action and reason of each decision about it.
    """
    kind = ModelKind(metadata["kind"])
    own = _SECTIONS[kind](metadata)
    limits = tuple((each,) for each in _LIMITS[kind])
    return Card(
        kind=kind,
        version=metadata["version"],
        question=_QUESTIONS[kind],
        sentence=sentence,
        is_active=is_active,
        sections=(
            *own,
            Section("Limits", (), limits),
            _origin(metadata),
            Section("Decisions", ("day", "what", "why"), tuple(decisions)),
        ),
        bins=tuple(tuple(each) for each in _bins(metadata)),
        kept="Right" if kind is ModelKind.SEGMENTS else "Came back",
    )


def _bins(metadata: Mapping[str, Any]) -> Sequence[Any]:
    if metadata["kind"] == ModelKind.UPLIFT:
        return ()
    is_segments = metadata["kind"] == ModelKind.SEGMENTS
    judged: Mapping[str, Any] = (
        metadata["metrics"]
        if is_segments
        else metadata["standings"][metadata["chosen"]]
    )
    found: Sequence[Any] = judged["bins"]
    return found


def _calibration(metrics: Mapping[str, Any]) -> str:
    error, noise = (metrics[f"calibration_{name}"] for name in ("error", "noise"))
    return f"{error:.3f} (by luck alone {noise:.3f})"


def _origin(metadata: Mapping[str, Any]) -> Section:
    rows = [
        ("estimator", metadata["estimator"]),
        ("parameters", metadata["parameters"]),
        ("nothing known after", metadata["as_of"][:10]),
        ("features", metadata["feature_definition"]),
        ("hash of the data", metadata["data_hash"][:16]),
        ("hash of the code", metadata["code_hash"][:16]),
        *sorted(metadata.get("versions", {}).items()),
    ]
    return Section("Where it comes from", ("what", "which"), tuple(rows))


def _over_time(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield how good it is on the last to leave, and how often segments change."""
    if last := metadata.get("metrics_of_the_last"):
        said = f"{number(last['accounts'])} last to leave, from those before"
        yield f"right, on the {said}", percent(last["accuracy"])
        yield "calibration error on these", _calibration(last)
    for each in metadata.get("stability", ()):
        if each["accounts"]:
            said = f"the same segment as on {each['as_of'][:10]}"
            yield said, f"{percent(each['same'] / each['accounts'])} of accounts"


def _beyond_luck(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if found := metadata.get("over_luck"):
        yield "the same, beyond guessing among them", _range(found, "{:+.1%}")


def _beside_used(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield how it does beside the model that was used when it was trained."""
    if found := metadata.get("against_used"):
        who = f"{number(found['accounts'])} that left since {found['version']} learnt"
        new, used = (number(found[f"only_{each}"]) for each in ("new", "used"))
        yield f"of {who}, right by one alone", f"{new} by this, {used} by that"


def _of_segments(metadata: Mapping[str, Any]) -> tuple[Section, ...]:
    metrics = metadata["metrics"]
    measures = (
        ("right", percent(metrics["accuracy"])),
        ("right, each segment weighing alike", percent(metrics["balanced_accuracy"])),
        *_beyond_luck(metadata),
        ("always naming the commonest", percent(metrics["chance"])),
        ("calibration error", _calibration(metrics)),
        ("labels shuffled, right", percent(metadata["controls"]["shuffled_labels"])),
        *_over_time(metadata),
        *_beside_used(metadata),
    )
    names = metadata["classes"]
    confused = tuple(
        (name, *map(number, row))
        for name, row in zip(names, metrics["confusion"], strict=True)
    )
    labels = tuple(
        (name, number(count)) for name, count in metadata["labels"].items()
    ) + tuple(
        (f"{name} (left out: too few)", number(count))
        for name, count in metadata["left_out"].items()
    )
    return (
        Section(
            "How good it is",
            ("on labels it did not learn from", ""),
            measures,
            "Labels were given by " + metadata["labels_by"] + ".",
        ),
        Section("What it takes for what", ("label", *names), confused),
        Section(
            "What speaks for each",
            ("segment", "most of all"),
            tuple((name, ", ".join(why)) for name, why in metadata["reasons"].items()),
        ),
        Section("Labels", ("segment", "labels"), labels, _agreed(metadata)),
    )


def _agreed(metadata: Mapping[str, Any]) -> str:
    found = metadata["rules_against_people"]
    if not found["people"]:
        return "Nobody gave a label: whether the starter rules are right is not known."
    return (
        f"Of {number(found['people'])} accounts that people gave a label, the starter "
        f"rules said something of {number(found['rules_too'])}, and the same of "
        f"{number(found['same'])}."
    )


def _cutoffs(metadata: Mapping[str, Any]) -> str:
    dates = [each[:10] for each in metadata["cutoffs"]]
    return f"{len(dates)} dates from {min(dates)} to {max(dates)}"


def _over_luck(metadata: Mapping[str, Any]) -> str:
    found = _range(metadata["over_luck"], "{:+.3f}")
    sure = metadata.get("confidence", _USUALLY)
    return f"Its AUC is {found} over luck's; an interval of {percent(sure)}."


def _of_propensity(metadata: Mapping[str, Any]) -> tuple[Section, ...]:
    standings = tuple(
        (
            name + (" (chosen)" if name == metadata["chosen"] else ""),
            f"{each['auc']:.3f}",
            "–" if not index else _range(each["over_first"], "{:+.3f}"),
            "–" if each["slope"] is None else f"{each['slope']:.2f}",
            f"{each['error']:.3f} ({each['noise']:.3f} by luck)",
        )
        for index, (name, each) in enumerate(metadata["standings"].items())
    )
    shuffled = f"{metadata['controls']['auc_of_shuffled_labels']:.3f}"
    learnt, judged = (
        f"{number(each['accounts'])} accounts, {number(each['returned'])} back"
        for each in (metadata["learnt_from"], metadata["judged_on"])
    )
    return (
        Section(
            "How good it is",
            ("model", "AUC", "over the first", "slope", "calibration error"),
            (*standings, ("labels shuffled", shuffled, "", "", "")),
            f"Within {metadata['window_days']} days of {_cutoffs(metadata)}. Learnt "
            f"from {learnt}; judged on {judged}, all of them later. "
            + _over_luck(metadata),
        ),
        Section(
            "By days since churn",
            ("days", "accounts", "chance stated", "came back"),
            tuple(
                (
                    each["band"],
                    number(each["accounts"]),
                    percent(each["stated"]),
                    percent(each["observed"]),
                )
                for each in metadata["by_dormancy"]
            ),
        ),
        Section(
            "What it goes by",
            ("feature", "AUC lost without it"),
            tuple((e["feature"], f"{e['auc_lost']:.3f}") for e in metadata["reasons"]),
        ),
    )


_BY_RULE: Final = {
    True: "No model errs less than this rule about what a mail adds: it is the model.",
    False: "The model errs less than this rule about what a mail adds.",
}


def _of_uplift(metadata: Mapping[str, Any]) -> tuple[Section, ...]:
    judged = metadata["judgement"]
    shuffled = metadata["controls"]["judgement_of_shuffled_arms"]
    of_all = "of all accounts, net of costs"
    rival = (
        [(f"the same, over {against}, on later ones", _gain(judged["over_used"]))]
        if (against := metadata.get("judged_against"))
        else []
    )
    # A model that was trained before says nothing of it.
    weighed = [
        ("the same, by the chances of a mail alone", _gain(gain))
        for gain in [judged.get("over_all_weighed")]
        if gain
    ]
    return (
        Section(
            "How good it is",
            ("what is gained, " + of_all, ""),
            (
                ("mailing by the model, over mailing all", _gain(judged["over_all"])),
                *weighed,
                ("mailing by the model, over nobody", _gain(judged["over_none"])),
                ("mailing all, over nobody", _gain(judged["all_over_none"])),
                *rival,
                ("arms shuffled, over mailing all", _gain(shuffled["over_all"])),
                ("share that it would mail", percent(judged["share_mailed"])),
                ("Qini × 100", f"{100 * judged['qini']:.2f}"),
            ),
            f"Judged on {number(judged['accounts'])} accounts, each by a model that "
            f"had not seen it; intervals of {percent(metadata['confidence'])}, as it "
            "is asked every week.",
        ),
        Section(
            "The best rule of one feature",
            ("rule", "a mail adds below", "a mail adds above"),
            (
                (
                    metadata["rule"]["words"],
                    signed(metadata["rule"]["uplift_below"]) + " points",
                    signed(metadata["rule"]["uplift_above"]) + " points",
                ),
            ),
            # A model that was trained before says nothing of it.
            _BY_RULE.get(metadata["rule"].get("is_selected"), ""),
        ),
        Section(
            "Was it a lot?",
            ("what", ""),
            (
                ("accounts", number(metadata["accounts"])),
                ("of them mailed", number(metadata["mailed"])),
                ("came back", number(metadata["returned"])),
                ("p-value of arms alike", f"{metadata['balance']:.2g}"),
            ),
        ),
    )


def _gain(gain: Sequence[float]) -> str:
    return _range(gain, "{:+.2%}")


def _range(values: Sequence[float], shape: str) -> str:
    value, low, high = (
        shape.format(each).replace("%", " %").replace("-", "−") for each in values
    )
    return f"{value} ({low} to {high})"


_SECTIONS: Final[
    dict[ModelKind, Callable[[Mapping[str, Any]], tuple[Section, ...]]]
] = {
    ModelKind.SEGMENTS: _of_segments,
    ModelKind.PROPENSITY: _of_propensity,
    ModelKind.UPLIFT: _of_uplift,
}
