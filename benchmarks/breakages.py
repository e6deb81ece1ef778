"""The engine, broken on purpose: what a check must find, or it checks nothing."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

_ROOT: Final = Path(__file__).resolve().parents[1]
_PACKAGES: Final = ("campaigns", "models", "templates")
_TRY: Final = """
import logging, sys
import structlog
structlog.configure(
    wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
)
from campaigns.simulation.trials import bench, simulate
with bench() as shared:
    for outcome in simulate(shared, range(*map(int, sys.argv[1:]))):
        if outcome.broken:
            print(f"seed {outcome.seed}:", *outcome.broken, sep=chr(10))
            break
"""


class Edit(NamedTuple):
    """A change to a file.

    Attributes:
        file: Where.
        before: The right code, which stands there once.
        after: The wrong code.
    """

    file: str
    before: str
    after: str


class Breakage(NamedTuple):
    """A change that breaks a promise.

    Attributes:
        name: What the broken engine does.
        edits: How it comes to that.
        seen: A pattern of what a trial tells of it.
        since: The seed of the first trial that is tried.
        within: The number of trials within which it is found.
    """

    name: str
    edits: tuple[Edit, ...]
    seen: str
    within: int = 15
    since: int = 1


BREAKAGES: Final = (
    Breakage(
        "posts again after a time-out",
        (
            Edit(
                "campaigns/mail/ses.py",
                "raise OutcomeUnknownError(_kind(error)) from error",
                "raise RetryLaterError(_kind(error)) from error",
            ),
        ),
        r"\d mails|a mail is out",
    ),
    Breakage(
        "takes a 5xx for a no",
        (
            Edit(
                "campaigns/mail/ses.py",
                "return OutcomeUnknownError(f\"{code or 'no code'} (HTTP {status})\")",
                "return RetryLaterError(code)",
            ),
        ),
        r"\d mails|a mail is out",
        within=60,
    ),
    Breakage(
        "checks for a no in the claim only",
        (
            Edit(
                "campaigns/steps/admission.py",
                "    admitted = admit([each for each in facts if each.state is state],"
                " now=now)\n",
                "    admitted = admit(facts, now=now)\n"
                "    if state is MessageState.CLAIMED:\n"
                "        admitted = Admitted([f for f in facts if f.state is state])\n",
            ),
        ),
        r"had said no|was back before|is at rest",
        within=60,
    ),
    Breakage(
        "plans anew what was in flight at a kill",
        (
            Edit(
                "campaigns/store/attempts.py",
                "MessageState.POSTING,\n        MessageState.UNKNOWN,",
                "MessageState.POSTING,\n        MessageState.PLANNED,",
            ),
        ),
        r"\d mails|a mail is out",
        within=60,
    ),
    Breakage(
        "takes events off the queue before they are kept",
        (
            Edit(
                "campaigns/steps/receive.py",
                "        kept = keep(",
                "        post.delete(received)\n        kept = keep(",
            ),
        ),
        r"left the queue",
    ),
    Breakage(
        "does not know a copy",
        (
            Edit(
                "campaigns/rules/copies.py",
                "if lost > 0 or forgotten > 0:",
                "if mark is None:",
            ),
        ),
        r"from a restored copy",
        within=120,
    ),
    Breakage(
        "does not know a copy under its sender",
        (
            Edit(
                "campaigns/steps/posting.py",
                "    if desk.guard.forbids(session, now=now):",
                "    if False:",
            ),
        ),
        r"from a restored copy",
        within=120,
    ),
    Breakage(
        "posts without its lease",
        (
            Edit(
                "campaigns/store/attempts.py",
                "            stands_at(MessageState.CLAIMED),\n"
                '            MessageRow.leased_by == bindparam("of"),\n'
                '            MessageRow.leased_until > bindparam("at"),\n',
                '            (MessageRow.leased_by == bindparam("of"))'
                " | (MessageRow.id > 0),\n",
            ),
            Edit(
                "campaigns/steps/admission.py",
                "[each for each in facts if each.state is state]",
                "facts",
            ),
        ),
        r"\d mails|a mail is out",
        # Rare: a pause has to outlast a lease between a claim and its attempt.
        since=301,
        within=60,
    ),
    Breakage(
        "never rests while its rate is used up",
        (
            Edit(
                "campaigns/steps/deliver.py",
                "elif not self._is_looking_on or not self._may_send():",
                "elif not self._is_looking_on or not self._may_go_on():",
            ),
        ),
        r"the sender never rests",
        since=2341,
        within=5,
    ),
    Breakage(
        "forgets what it claimed",
        (
            Edit(
                "campaigns/store/attempts.py",
                "claimed, MessageState.CLAIMED, MessageState.PLANNED)\n",
                "claimed, MessageState.CLAIMED, MessageState.SKIPPED,"
                " {'reason': 'suppressed'})\n",
            ),
        ),
        r"nothing forbade",
        within=60,
    ),
    Breakage(
        "writes to an address that is another's by now",
        (
            Edit(
                "campaigns/store/gate_facts.py",
                "is_anothers=bool(row.is_anothers)",
                "is_anothers=False",
            ),
        ),
        r"shared@firm.example: \d mails of step",
    ),
)


def found_by_worlds(breakage: Breakage, folder: Path) -> str | None:
    """Return what campaigns tell of a breakage; None if nothing, or another thing."""
    told = tried(breakage, folder).splitlines()
    return next((line for line in told if re.search(breakage.seen, line)), None)


def tried(breakage: Breakage, folder: Path) -> str:
    """Return what trials tell of a broken copy of the engine; empty if nothing.

    Raises:
        ValueError: The right code does not stand there once.
    """
    for name in _PACKAGES:
        shutil.copytree(
            _ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    break_copy(breakage, folder)
    since, until = breakage.since, breakage.since + breakage.within
    done = subprocess.run(
        [sys.executable, "-c", _TRY, str(since), str(until)],
        cwd=folder,  # which is the first place that modules are looked for
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def break_copy(breakage: Breakage, folder: Path) -> None:
    """Make the edits of a breakage in a copy of the engine.

    Raises:
        ValueError: The right code does not stand there once.
    """
    for edit in breakage.edits:
        file = folder / edit.file
        right = file.read_text("utf-8")
        if right.count(edit.before) != 1:
            raise ValueError(f"{edit.file}: is not as the breakage expects it")
        file.write_text(right.replace(edit.before, edit.after), "utf-8")
