"""`durability = "wait"`: what a replica has before anybody is told of it."""

from __future__ import annotations

from otp_service.ports import StoreDown

REPLICA_WITHIN_MS = 500
"""A replica confirms well within a millisecond where it stands beside the master, and within two trips elsewhere."""

AWAITED = frozenset({"start", "resend", "check", "cancel", "token", "claim"})
"""The scripts whose loss somebody would notice who was told of them.

An answer that is kept (`keep`) is not among them: the claim and the transition are, and from these it is made again.
Counts on other partitions are not, nor what workers write: lost, they allow one send more.
"""


def require_replica(confirmed: int) -> None:
    """Raises StoreDown for a WAIT that answered none.

    The transition stands on the master all the same: whoever repeats the request gets its result.
    """
    if confirmed < 1:
        raise StoreDown("WAIT: no replica confirmed it in time")
