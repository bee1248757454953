"""`in_parts`: several looks in one trip; of a cluster that is lost in part, those still come to something that can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from otp_service.keyring import PARTITIONS
from otp_service.ports import StoreDown
from otp_service.store.cluster import Cluster
from otp_service.store.connection import asked

Ask = Callable[[Any], None]
"""Puts commands into a pipeline: those of one part have keys on one master."""
Replies = Iterator[Any]


def in_parts(client: Any, now: Ask, parts: Sequence[Ask]) -> tuple[int, list[Replies | None]]:
    """Redis's clock, as the one command that `now` puts asks for it, and each part's replies; None for a part whose
    master does not answer. Raises StoreDown where none is answered.
    """
    try:
        moment, *answered = _ask(client, [now, *parts])
        return int(next(moment)), [*answered]
    except StoreDown:
        if not isinstance(client, Cluster):
            raise
    return _one_by_one(client, now, parts)


def _one_by_one(client: Any, now: Ask, parts: Sequence[Ask]) -> tuple[int, list[Replies | None]]:
    """The clock goes along with each: what has no key is asked where the others of its trip lie."""
    moments, found, lost = [], list[Replies | None](), StoreDown("nothing was asked")
    for part in parts:
        try:
            replies, moment = _ask(client, [part, now])
        except StoreDown as error:
            found.append(None)
            lost = error
        else:
            found.append(replies)
            moments.append(int(next(moment)))
    if not moments:
        raise lost
    return max(moments), found


def _ask(client: Any, parts: Iterable[Ask]) -> list[Replies]:
    """Raises StoreDown."""
    pipeline, sizes = client.pipeline(transaction=False), []
    for ask in parts:
        before = len(pipeline)
        ask(pipeline)
        sizes.append(len(pipeline) - before)
    replies = iter(asked(pipeline.execute))
    return [iter([next(replies) for _ in range(size)]) for size in sizes]


def of_partitions(what: str, found: Sequence[object | None]) -> Iterator[str]:
    """What is not known of the partitions, in words."""
    if missing := sum(one is None for one in found):
        yield f"{what} of {missing} of {PARTITIONS} partitions"
