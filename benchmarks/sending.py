"""Sending, against a bare boto3 pool: what the ledger costs.

    python -m benchmarks.sending NAME FOLDER

is one process of a case; `run` starts as many as a case has, lets all begin at the same
moment, and adds up what they did.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

from campaigns.domain.values import Email
from campaigns.errors import SendError
from tests.factories import NOON

ROOT = Path(__file__).resolve().parents[1]
STARTS_WITHIN_SECONDS = 120


@dataclass(frozen=True)
class Load:
    """What is sent, and by how many.

    Attributes:
        url: The ledger's database; it holds the planned messages.
        port: Where the null SES listens.
        mails: How many, in all; more may be planned.
        processes: How many at a time …
        threads: … with so many requests under way each.
        is_bulk: Whether a request holds fifty mails.
    """

    url: str
    port: int
    mails: int
    processes: int
    threads: int
    is_bulk: bool = False


def clock():
    return NOON + timedelta(seconds=time.perf_counter())


def client(load: Load):
    import boto3

    from campaigns.wiring.sending import client_config

    session = boto3.Session(
        region_name="eu-west-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 — loopback only
    )
    endpoint = f"http://127.0.0.1:{load.port}"
    config = client_config(load.threads)
    return session.client("sesv2", endpoint_url=endpoint, config=config)


def sender(load: Load):
    from campaigns.mail.ses import SesSender

    return SesSender(
        client(load),
        from_address="Tidemark <hello@tidemark.example>",
        reply_to=None,
        configuration_set="winback",
    )


def bare(load: Load) -> Callable[[], int]:
    """Post by a pool of threads, and keep no account of it."""
    from campaigns.mail.ses import _simple
    from campaigns.mail.templates import Templates
    from campaigns.shipped import templates_folder
    from campaigns.simulation.trials import composer
    from campaigns.steps.compose import compose_all
    from campaigns.store.messages import read_claimed
    from campaigns.store.session import make_sessions, open_engine

    engine = open_engine(load.url)
    with make_sessions(engine).begin() as session:
        message = read_claimed(session, [1])
    engine.dispose()
    templates = Templates([templates_folder() / "email"])
    made = composer()._replace(render=templates.render)
    (email,) = compose_all(made, message, instance="bench", releases=[], now=NOON)
    ses, mails = client(load), load.mails // load.processes
    shared = {
        "FromEmailAddress": "Tidemark <hello@tidemark.example>",
        "ConfigurationSetName": "winback",
    }

    def post(n: int) -> None:
        tags = email.tags | {"wb_message": str(n)}
        mail = replace(email, to=f"p{n}@example.com", tags=tags)
        assert ses.send_email(**shared, **_simple(mail))["MessageId"]

    def act() -> int:
        if load.threads == 1:
            for n in range(mails):
                post(n)
            return mails
        with ThreadPoolExecutor(load.threads) as pool:
            for _ in pool.map(post, range(mails)):
                pass
        return mails

    return act


def ours(load: Load) -> Callable[[], int]:
    """Deliver from the ledger, as `winback run` and `winback worker` do."""
    from benchmarks.desks import desk
    from campaigns.mail.render_room import RenderRoom
    from campaigns.shipped import templates_folder
    from campaigns.simulation.trials import composer
    from campaigns.steps.deliver import deliver
    from campaigns.store.session import make_sessions, open_engine
    from campaigns.wiring.sending import new_worker

    sessions = make_sessions(open_engine(load.url))
    room = RenderRoom([templates_folder() / "email"])
    ses = sender(load)
    list(room.render([]))  # or the start of a process would be timed
    begun = 0

    def send(mails: Sequence[Email]) -> Sequence[str | SendError]:
        nonlocal begun
        begun += len(mails)  # two at once may count as one: then a few more are sent
        return ses.send_all(mails)

    def act() -> int:
        with ThreadPoolExecutor(load.threads) as pool, closing(room):
            at = desk(
                sessions,
                ses,
                send=send,
                should_stop=lambda: begun >= load.mails,
                composer=composer()._replace(render=room.render),
                start=pool.submit,
                senders=load.threads,
                clock=clock,
                worker=new_worker(),
                per_request=50 if load.is_bulk else 1,
            )
            accepted = 0
            while True:
                result = deliver(at)
                accepted += result.endings["accepted"]
                if result.again_at is None:
                    return accepted
                time.sleep(0.02)  # the other process is asking SES what it allows

    return act


@contextmanager
def null_ses(*, milliseconds: int, taken: Path | None = None, halt: int | None = None):
    """Yield the port of a null SES in a process of its own.

    Args:
        milliseconds: After which it answers.
        taken: The file into which it writes the number of each message that it took.
        halt: Pauses the account after so many; those it refuses are written as
            negative numbers.
    """
    command = [sys.executable, "-m", "benchmarks.sink", str(milliseconds)]
    command += [str(taken), str(halt or "inf")] if taken else []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def measured(what: str, load: Load, folder: Path) -> dict[str, float]:
    """Run the processes of a case; return mails a second and CPU ms of each mail."""
    go = folder / "go"
    go.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.sending", what, str(folder)]
    processes = []
    for number in range(load.processes):
        (folder / "load.json").write_text(json.dumps(asdict(load)))
        processes.append(
            subprocess.Popen(
                [*command, str(number)], cwd=ROOT, text=True, stdout=subprocess.PIPE
            )
        )
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while len(list(folder.glob("ready-*"))) < load.processes:
        assert time.monotonic() < deadline, f"{what} did not start"
        time.sleep(0.01)
    go.touch()
    said = [json.loads(each.communicate()[0].splitlines()[-1]) for each in processes]
    for ready in folder.glob("ready-*"):
        ready.unlink()
    mails = sum(each["mails"] for each in said)
    assert mails >= load.mails, (what, said)
    seconds = max(each["until"] for each in said) - min(each["since"] for each in said)
    return {
        "per_second": mails / seconds,
        "cpu_ms": sum(each["cpu"] for each in said) / mails * 1000,
        "peak_mb": max(each["peak_mb"] for each in said),
        "seconds": seconds,
    }


def cpu_seconds() -> float:
    """Return what this process and those it waited for used of the processors."""
    used = [
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    what, folder, number = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    load = Load(**json.loads((folder / "load.json").read_text()))
    act = {"bare": bare, "ours": ours}[what](load)
    (folder / f"ready-{number}").touch()
    while not (folder / "go").exists():
        time.sleep(0.001)
    used, since = cpu_seconds(), time.monotonic()
    mails = act()
    until = time.monotonic()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    said = {"mails": mails, "since": since, "until": until, "peak_mb": peak}
    print(json.dumps(said | {"cpu": cpu_seconds() - used}))


if __name__ == "__main__":
    main()
