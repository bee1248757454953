"""`Look`: the verifications of one recipient. They have no index but the latest twenty, so names of keys are read.

One SCAN of the server: a round trip for each 1,000 keys, whosever they are. A name holds the id, and the id its
recipient, so no record is read; of "the fours" of the partition, which are named by a hash, each one's id is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otp_service.keyring import Keyring, VerificationId
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

    @classmethod
    def of(cls, client: Any, keys: Keys, keyring: Keyring, sweep: Sweep) -> Look:
        names: list[str] = []
        fours: list[str] = []
        anything = keys.record(sweep.partition, "*").replace(":v:", ":[vts]:")
        for key in map(text, client.scan_iter(anything, count=_PAGE)):
            (fours if key.split(":")[2] == "s" else names).append(key)

        def ours(ids: Iterable[str]) -> Iterator[VerificationId]:
            return (parsed for id in ids if sweep.is_about(id) and (parsed := keyring.parse_id(id)))

        latest = dict(zip(_latest(client, fours), fours, strict=True))
        found = sorted({key.rpartition(":")[2] for key in names})
        return cls(list(ours(found)), {id: latest[id.text] for id in ours(latest)})


def _latest(client: Any, fours: Sequence[str]) -> Iterator[str]:
    for n in range(0, len(fours), _PAGE):
        pipeline = client.pipeline(transaction=False)
        for key in fours[n : n + _PAGE]:
            pipeline.get(key)
        yield from map(latest_of, pipeline.execute())
