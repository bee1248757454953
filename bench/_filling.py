"""Live verifications by the million: what our service gave the start script, given again under other ids and names."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from _ground import SHOP
from _recording import recorded, shas
from hiredis import Reader
from hot_path import Installation

from otp_service.calls import StartRequest

TEMPLATES = 200
"""Real starts that are copied, of as many prefixes, so that they lie in all partitions."""
TO_A_PREFIX = 10
"""Recipients that share a prefix."""
_BATCH = 500
_NONCE = 2 + 1 + 16 + 5
"""Its place: after the command, its number of keys, the keys, and five arguments (start.lua)."""


@dataclass(frozen=True)
class Template:
    """A packed EVALSHA of start, and what in it is of this one verification alone."""

    packed: bytes
    id: bytes
    scope: bytes
    owner: bytes
    recipient: bytes
    nonce: bytes
    prefix: bytes

    @classmethod
    def of(cls, packed: bytes) -> Template:
        reader = Reader()
        reader.feed(packed)
        words: list[bytes] = reader.gets()  # type: ignore[assignment]
        keys = words[3:19]
        scope, record, _, owner, recipient = (key.rpartition(b":")[2] for key in keys[:5])
        return cls(packed, record, scope, owner, recipient, words[_NONCE], keys[10].rpartition(b":")[2])

    def copied(self, nth: int) -> bytes:
        """The nth: everything of one length, as `RESP` needs it."""
        copy = self.packed.replace(self.id, b"ver_%040d" % nth).replace(self.scope, b"%022x" % nth)
        copy = copy.replace(self.owner, b"a%015x" % nth).replace(self.recipient, b"b%015x" % nth)
        return copy.replace(self.nonce, b"%016x" % nth).replace(self.prefix, b"%010x" % (nth // TO_A_PREFIX))


def templates(installation: Installation) -> list[Template]:
    verifier, recorder = recorded(installation.config)
    numbers = [body["to"] for _, body in installation.starts(TEMPLATES + 1)]
    verifier.start(SHOP, StartRequest(to=numbers[0], purpose="login"))  # Redis has the script from here on
    with recorder.watching(shas(installation.config, "start")[0]) as asked:
        for number in numbers[1:]:
            verifier.start(SHOP, StartRequest(to=number, purpose="login"))
    return [Template.of(packed) for packed in asked]


def fill(installation: Installation, size: int) -> None:
    """So many live verifications, of which some are real."""
    with socket.create_connection(("127.0.0.1", port_of(installation))) as line:
        made = templates(installation)
        copies = _copies(made, size - TEMPLATES - 1)
        while batch := list(itertools.islice(copies, _BATCH)):
            _ask(line, batch)


def port_of(installation: Installation) -> int:
    """Of its Redis."""
    return int(installation.redis.connection_pool.connection_kwargs["port"])


def _copies(made: Sequence[Template], count: int) -> Iterator[bytes]:
    """A prefix stays with one template, as its partition does."""
    for nth in range(count):
        yield made[nth // TO_A_PREFIX % len(made)].copied(nth)


def _ask(line: socket.socket, commands: Sequence[bytes]) -> None:
    line.sendall(b"".join(commands))
    reader, answered = Reader(), 0
    while answered < len(commands):
        reader.feed(line.recv(1 << 20))
        while (reply := reader.gets()) is not False:
            assert isinstance(reply, list), reply
            assert reply[0] == b"created", reply
            answered += 1
