"""`Look`: the verifications of one recipient. They have no index but the latest twenty, so names of keys are read.

One SCAN of the server: a round trip for each 1,000 keys, whosever they are. A name holds the id, and the id its
recipient, so no record is read; of "the fours" of the partition, which are named by a hash, each one's id is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otp_service.keyring import Keyring, VerificationId
from otp_service.store.cluster import Cluster
from otp_service.store.connection import Lost
from otp_service.store.keys import Keys
from otp_service.store.rows import latest_of, text
from otp_service.store.sweep import Sweep

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Look:
    verifications: Sequence[VerificationId]
    """Those of which a record or tries are left."""
    scopes: Mapping[VerificationId, str]
    """Keys of "the fours", by the latest verification of each: the cooldown may outlive the record."""
    unknown: Sequence[str] = ()
    """What was not read, in words: masters of a cluster that don't answer, while others do."""

    @classmethod
    def of(cls, client: Any, keys: Keys, keyring: Keyring, sweep: Sweep) -> Look:
        names: list[str] = []
        fours: list[str] = []
        anything = keys.record(sweep.partition, "*").replace(":v:", ":[vts]:")
        found, unknown = _scanned(client, anything)
        for key in found:
            (fours if key.split(":")[2] == "s" else names).append(key)

        def ours(ids: Iterable[str]) -> Iterator[VerificationId]:
            return (parsed for id in ids if sweep.is_about(id) and (parsed := keyring.parse_id(id)))

        latest = dict(zip(_latest(client, fours), fours, strict=True))
        ids = sorted({key.rpartition(":")[2] for key in names})
        return cls(list(ours(ids)), {id: latest[id.text] for id in ours(latest)}, unknown)


def _scanned(client: Any, pattern: str) -> tuple[list[str], list[str]]:
    """Names of keys, and whose were not read: only a slot on its way has some beside the partition's own master."""
    if not isinstance(client, Cluster):
        return list(map(text, client.scan_iter(pattern, count=_PAGE))), []
    found, unknown = list[str](), list[str]()
    for master in client.nodes.all():
        try:
            found += map(text, list(master.client.scan_iter(pattern, count=_PAGE)))
        except Lost:
            unknown.append(f"what may be on its way to or from the master {master.name}")
    return found, unknown


def _latest(client: Any, fours: Sequence[str]) -> Iterator[str]:
    for n in range(0, len(fours), _PAGE):
        pipeline = client.pipeline(transaction=False)
        for key in fours[n : n + _PAGE]:
            pipeline.get(key)
        yield from map(latest_of, pipeline.execute())
