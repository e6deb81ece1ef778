"""A null SES: answers every request after a while, and keeps nothing.

    python -m benchmarks.sink MILLISECONDS [FILE [MAILS]]

Prints its port, and writes into FILE the number of each message that it took; after so
many MAILS the account is paused, and each that it refuses is written with a minus. It
is the network and SES's own time in one, and must be able to do at least three times
what is measured against it.
"""

import asyncio
import json
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from campaigns.mail.local_ses.server import listen

ACCOUNT = json.dumps(
    {
        "SendQuota": {
            "MaxSendRate": 1e6,
            "Max24HourSend": 1e9,
            "SentLast24Hours": 0,
        },
        "SendingEnabled": True,
    }
).encode()
TAKEN = json.dumps({"MessageId": "0100018f0c0d0e0f-00000000-0000"}).encode()
SUCCESS = {"Status": "SUCCESS", "MessageId": "0100018f0c0d0e0f-00000000-0000"}


def response(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


MESSAGE = re.compile(rb'"Name": ?"wb_message", ?"Value": ?"(\d+)"')
ANSWER, QUOTA = response(TAKEN), response(ACCOUNT)
PAUSED = response(
    json.dumps({"message": "Email sending is paused for this account."}).encode(),
    "400 Bad Request",
    "x-amzn-ErrorType: SendingPausedException\r\n",
)


class Taken:
    """The file of what was taken, and how many more may be."""

    def __init__(self, file: BinaryIO, mails: float) -> None:
        self._file = file
        self._left = mails

    def take(self, request: bytes) -> bool:
        """Write down the message of a request; return whether it was taken."""
        found = MESSAGE.search(request)
        if found is None:
            return True
        self._left -= 1
        is_taken = self._left >= 0
        self._file.write((b"" if is_taken else b"-") + found[1] + b"\n")
        return is_taken


class Sink(asyncio.Protocol):
    """One connection; requests come one after the other."""

    def __init__(self, seconds: float, taken: Taken | None) -> None:
        self._seconds = seconds
        self._taken = taken
        self._read = bytearray()
        self._needed = 0

    def connection_made(self, transport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self._needed:
            end = self._read.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._read[:end]).lower()
            length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._needed = end + 4 + int(length or 0)
        if len(self._read) >= self._needed:
            answer = self._answer()
            if self._taken is not None and not self._taken.take(self._read):
                answer = PAUSED
            self._read.clear()
            self._needed = 0
            loop = asyncio.get_running_loop()
            loop.call_later(self._seconds, self._transport.write, answer)

    def _answer(self) -> bytes:
        if self._read.startswith(b"GET"):
            return QUOTA
        if b"outbound-bulk-emails" in self._read[:100]:
            count = self._read.count(b'"ReplacementTags"')
            body = {"BulkEmailEntryResults": [SUCCESS] * count}
            return response(json.dumps(body).encode())
        return ANSWER


async def serve(seconds: float, taken: Taken | None) -> None:
    listener = listen(0)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(seconds, taken), sock=listener)
    print(listener.getsockname()[1], flush=True)
    await server.serve_forever()


def main(milliseconds: str, file: str | None = None, mails: str = "inf") -> None:
    with Path(file).open("ab", buffering=0) if file else nullcontext() as kept:
        taken = Taken(kept, float(mails)) if kept else None
        asyncio.run(serve(float(milliseconds) / 1000, taken))


if __name__ == "__main__":
    main(*sys.argv[1:])
