"""A room of its own for templates: a process with limits, that may be killed.

Templates are written by people who are not us, and Jinja's sandbox limits neither time
nor memory. So in production each mail is rendered in a child, which may use a bounded
amount of memory and processor time; one that takes longer is killed and made anew, and
only the mail that did it is refused. What the child says is read as plain JSON.
"""

import pickle
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import structlog

from campaigns.errors import ConfigError, RenderError
from campaigns.mail.templates import Order, Rendered, Templates

logger = structlog.get_logger(__name__)

_STARTS_WITHIN_SECONDS: Final = 30.0
_MAIL_WITHIN_SECONDS: Final = 3.0
_CPU_SECONDS: Final = 2
_MEMORY_BYTES: Final = 512 * 1024 * 1024
_LONGEST_MAIL: Final = 500_000
_LONGEST_ANSWER: Final = 8 * _LONGEST_MAIL
_TOO_MUCH: Final = (
    f"it took more than a mail may: {_CPU_SECONDS} seconds of the processor, "
    f"{_MAIL_WITHIN_SECONDS:g} seconds in all or {_MEMORY_BYTES // 1024**2} MB"
)
_TOO_LONG: Final = f"the mail is longer than {_LONGEST_MAIL:,} characters"
_READY: Final = {"ready": "yes"}


class _Child(NamedTuple):
    process: subprocess.Popen[bytes]
    pipe: Connection


class RenderRoom:
    """Renders mails in a child process.

    Args:
        folders: Where templates lie; the first folder that has one wins.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._child: _Child | None = None

    def render(self, orders: Sequence[Order]) -> Iterator[Rendered | RenderError]:
        """Yield the mail of each order, or why it cannot be made.

        A mail by which a child ended is made once more, alone: it may have been the
        machine that was slow.
        """
        self._living_child()
        left, is_suspect = list(orders), False
        while left:
            asked = left[:1] if is_suspect else left[:]
            answered = 0
            for answer in self._ask(asked):
                answered += 1
                yield answer
            if answered == len(asked):
                is_suspect = False
            elif is_suspect:
                yield RenderError(f"template {asked[0].template}: {_TOO_MUCH}")
                answered, is_suspect = 1, False
            else:
                is_suspect = True
            del left[:answered]

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.process.kill()
            self._child.process.wait()
            self._child.pipe.close()
            self._child = None

    def _ask(self, orders: Sequence[Order]) -> Iterator[Rendered | RenderError]:
        """Yield answers up to the first mail that breaks the child."""
        child = self._living_child()
        is_whole = False
        try:
            child.pipe.send_bytes(pickle.dumps([tuple(each) for each in orders]))
            for number, _ in enumerate(orders, start=1):
                answer = _answer(child, within=_MAIL_WITHIN_SECONDS)
                if answer is None:
                    return
                is_whole = number == len(orders)
                yield _read(answer)
        except OSError:
            logger.warning("render_child_lost")
        finally:
            if not is_whole:
                # What it may still say is of mails that nobody waits for.
                self.close()

    def _living_child(self) -> _Child:
        if self._child is not None and self._child.process.poll() is None:
            return self._child
        self.close()
        ours, theirs = Pipe()
        number = str(theirs.fileno())
        process = subprocess.Popen(  # noqa: S603 — our own program
            [sys.executable, "-m", __name__, number, *map(str, self._folders)],
            pass_fds=[theirs.fileno()],
            # A Ctrl-C is for the parent alone.
            start_new_session=True,
        )
        theirs.close()
        self._child = _Child(process, ours)
        if _answer(self._child, within=_STARTS_WITHIN_SECONDS) != _READY:
            self.close()
            raise ConfigError("the process that renders mails did not start")
        return self._child


def _answer(child: _Child, *, within: float) -> dict[str, str] | None:
    """Return what a child says; None if it says nothing in time, or died."""
    try:
        if not child.pipe.poll(within):
            return None
        answer: dict[str, str] = orjson.loads(child.pipe.recv_bytes(_LONGEST_ANSWER))
    except (EOFError, OSError):
        return None
    return answer


def _read(answer: dict[str, str]) -> Rendered | RenderError:
    if "error" in answer:
        return RenderError(answer["error"])
    return Rendered(answer["subject"], answer["html"], answer["text"])


def _serve(pipe: Connection, folders: Sequence[Path]) -> None:
    """Render what comes in, in the child, until the parent is gone."""
    templates = Templates(folders)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _say(pipe, _READY)
    while True:
        try:
            orders = pickle.loads(pipe.recv_bytes())  # noqa: S301 — from our parent
        except EOFError:
            return
        for template, facts in orders:
            _limit_time()
            (rendered,) = templates.render([Order(template, facts)])
            _say(pipe, _plain(template, rendered))


def _say(pipe: Connection, answer: dict[str, str]) -> None:
    pipe.send_bytes(orjson.dumps(answer))


def _limit_time() -> None:
    """Let the next mail have some seconds of the processor."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + _CPU_SECONDS
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (until, most))


def _plain(template: str, rendered: Rendered | RenderError) -> dict[str, str]:
    if isinstance(rendered, RenderError):
        return {"error": str(rendered)}
    if len(rendered.html) + len(rendered.text) > _LONGEST_MAIL:
        return {"error": f"template {template}: {_TOO_LONG}"}
    return {
        "subject": rendered.subject,
        "html": rendered.html,
        "text": rendered.text,
    }


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])), [Path(each) for each in sys.argv[2:]])
