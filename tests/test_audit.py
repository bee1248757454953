"""The audit trail: what is written down of administrative acts, and what whoever alters it gives away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from otp_service.audit import Act, Entry, Finding, examine
from otp_service.keyring import Keyring, SealBroken
from otp_service.ports import StoreDown
from otp_service.retention import Retention
from otp_service.store import RedisAudit, connect
from tests.world import FINGERPRINT, MOVABLE, NUMBER, SECRET, Server, World

DAY = 86_400_000
PAUSE = Act("ann@host", "channels.pause", "primary", reason="it answers nothing")


def trail(world: World, keyring: Keyring | None = None, **more: Any) -> RedisAudit:
    return RedisAudit(world.server.client, keyring or world.keyring, scripts=MOVABLE, **more)


def looked_at(kept: Iterator[Entry], keyring: Keyring, known: str = "") -> Finding:
    def seal_of(kid: str, link: str) -> str | None:
        try:
            return keyring.audit_seal(kid, link)
        except SealBroken:
            return None

    return examine(kept, seal_of, known)


def acts(world: World, count: int) -> RedisAudit:
    kept = trail(world)
    for n in range(count):
        kept.record_act(replace(PAUSE, target=f"channel-{n}"))
    return kept


# --- what is written down ---------------------------------------------------------------------------------------------


def test_an_act_is_kept_with_who_what_whom_when_and_why(world: World) -> None:
    world.freeze_clock()
    entry = trail(world).record_act(PAUSE)
    assert (entry.number, entry.at, entry.act) == (1, world.store.now(), PAUSE)
    assert list(trail(world).acts()) == [entry]


def test_acts_stand_in_their_order_each_linked_to_the_one_before(world: World) -> None:
    entries = list(acts(world, 5).acts())
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.previous for entry in entries] == ["", *(entry.link for entry in entries[:-1])]
    found = looked_at(iter(entries), world.keyring)
    assert (found.fault, found.vouched, found.unvouched) == ("", 5, 0)


def test_an_empty_trail_is_whole(world: World) -> None:
    assert looked_at(trail(world).acts(), world.keyring) == Finding()


def test_a_long_trail_is_read_to_its_end_and_from_any_moment(world: World) -> None:
    """More than one page."""
    kept = acts(world, 5)
    assert len(list(kept.acts())) == 5
    [third] = world.server.client.xrange("otp:audit", count=1, min=world.server.client.xrange("otp:audit")[2][0])
    later = list(kept.acts(int(third[0].split(b"-")[0])))
    assert later[-1].number == 5
    assert later[0].number <= 3


def test_what_was_typed_is_kept_on_one_line_without_a_number(world: World) -> None:
    """People write into a reason what they have before them."""
    typed = replace(PAUSE, actor="a\nb@c", reason=f"asked by {NUMBER}\n\x1b[2J" + "x" * 500)
    kept = trail(world).record_act(typed).act
    assert kept.actor == "a b@c"
    assert kept.reason.startswith("asked by +****")
    assert len(kept.reason) <= 200
    assert kept.reason.isprintable()


def test_each_act_is_one_line_of_the_log_too(world: World) -> None:
    """By it the trail can be held against the log."""
    with capture_logs() as lines:
        entry = trail(world).record_act(PAUSE)
    [line] = [line for line in lines if line["event"] == "audit"]
    assert (line["id"], line["actor"], line["act"], line["target"]) == (
        entry.name,
        *("ann@host", "channels.pause", "primary"),
    )
    assert looked_at(trail(world).acts(), world.keyring, known=entry.name).fault == ""


def test_an_act_that_can_not_be_recorded_raises() -> None:
    """So that it does not happen."""
    nowhere = RedisAudit(connect("redis://127.0.0.1:1/0"), Keyring([("a", SECRET)], FINGERPRINT))
    with pytest.raises(StoreDown):
        nowhere.record_act(PAUSE)
    with pytest.raises(StoreDown):
        list(nowhere.acts())


def test_acts_at_one_moment_are_all_written_down(real_world: World) -> None:
    """Each is linked anew behind those that came between."""
    failed: list[StoreDown] = []

    def act() -> None:
        kept = trail(real_world)
        for _ in range(5):
            try:
                kept.record_act(PAUSE)
            except StoreDown as error:
                failed.append(error)

    threads = [threading.Thread(target=act) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = looked_at(trail(real_world).acts(), real_world.keyring)
    assert (found.fault, found.vouched) == ("", 20 - len(failed))


# --- what falls out ---------------------------------------------------------------------------------------------------


def test_acts_fall_out_by_age_and_the_rest_is_still_whole(world: World) -> None:
    kept = acts(world, 3)
    world.move_clock(401 * 86_400)
    kept.record_act(PAUSE)
    assert [entry.number for entry in kept.acts()] == [4]
    found = looked_at(kept.acts(), world.keyring)
    assert (found.fault, found.first and found.first.number) == ("", 4)


def test_acts_fall_out_by_count(world: World) -> None:
    kept = trail(world, most=3)
    for _ in range(5):
        kept.record_act(PAUSE)
    assert [entry.number for entry in kept.acts()] == [3, 4, 5]
    assert looked_at(kept.acts(), world.keyring).fault == ""


def test_the_whole_trail_goes_when_its_newest_act_is_too_old(world: World) -> None:
    trail(world, retention=Retention(audit=30 * DAY)).record_act(PAUSE)
    assert 29 * DAY < world.server.client.pttl("otp:audit") <= 30 * DAY


# --- what whoever alters it gives away --------------------------------------------------------------------------------


def altered(raw: redis.Redis, number: int, **changes: str | None) -> None:
    """Write the stream anew, with one entry changed, or taken out."""
    kept = raw.xrange("otp:audit")
    raw.delete("otp:audit")
    for id, fields in kept:
        if fields[b"n"] == str(number).encode():
            if not changes:
                continue
            fields.update({name.encode(): value for name, value in changes.items()})
        raw.xadd("otp:audit", fields, id=id)


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": "bob@host"},
        {"at": "1"},
        {"target": "backup"},
        {"outcome": "done"},
        {"reason": ""},
        {"act": "channels.resume"},
        {"seal": "0" * 64},
        {"n": "7"},
        {"previous": "0" * 64},
    ],
    ids=str,
)
def test_an_entry_that_was_altered_is_named(world: World, changes: dict[str, Any]) -> None:
    acts(world, 4)
    altered(world.server.client, 3, **changes)
    found = looked_at(trail(world).acts(), world.keyring)
    assert found.broken is not None
    assert found.broken.number == int(changes.get("n", 3))
    assert found.vouched == 2
    assert found.fault


def test_nothing_moves_from_one_field_into_the_next(world: World) -> None:
    """The hash knows where each field ends."""
    entry = Entry(1, 1, Act("ab", "c", "d"), "a", "")
    assert entry.link != replace(entry, act=Act("a", "bc", "d")).link


def test_an_entry_that_was_taken_out_is_missed_by_the_next(world: World) -> None:
    acts(world, 4)
    altered(world.server.client, 2)
    found = looked_at(trail(world).acts(), world.keyring)
    assert found.broken is not None
    assert (found.broken.number, found.fault) == (3, "it does not follow entry 1: one was altered, taken out or put in")


def test_an_entry_that_was_put_in_is_found(world: World) -> None:
    """Also a true one, said twice, and one that is no entry at all."""
    acts(world, 2)
    raw = world.server.client
    [_, (_, second)] = raw.xrange("otp:audit")
    raw.xadd("otp:audit", second)
    assert looked_at(trail(world).acts(), world.keyring).fault
    raw.delete("otp:audit")
    raw.xadd("otp:audit", {"\xff": "x"})
    assert looked_at(trail(world).acts(), world.keyring).fault == "it is not the first"


def test_an_entry_by_another_key_of_the_same_name_is_found(world: World) -> None:
    """Who can write to Redis and lacks the key."""
    acts(world, 1)
    trail(world, Keyring([("a", bytes(32))], FINGERPRINT)).record_act(PAUSE)
    found = looked_at(trail(world).acts(), world.keyring)
    assert (found.broken and found.broken.number, found.fault) == (2, "it is not what was recorded")


def test_an_entry_under_a_key_that_does_not_exist_is_vouched_for_by_nobody(world: World) -> None:
    """It counts as unknown, and is never passed off as checked."""
    acts(world, 1)
    trail(world, Keyring([("z", bytes(32))], FINGERPRINT)).record_act(PAUSE)
    found = looked_at(trail(world).acts(), world.keyring)
    assert (found.fault, found.vouched, found.unvouched) == ("", 1, 1)


def test_entries_of_a_retired_key_are_vouched_for_by_a_later_one(world: World) -> None:
    """Secrets rotate; a trail lives longer than a secret."""
    acts(world, 2)
    rotated = Keyring([("b", bytes(range(1, 33)))], FINGERPRINT)
    trail(world, rotated).record_act(PAUSE)
    found = looked_at(trail(world).acts(), rotated)
    assert (found.fault, found.vouched, found.unvouched) == ("", 3, 0)

    altered(world.server.client, 1, actor="bob@host")
    found = looked_at(trail(world).acts(), rotated)
    assert (found.broken and found.broken.number) == 2


def test_newest_entries_that_were_cut_off_are_missed_by_the_log_alone(world: World) -> None:
    """The trail can't know what it does not hold; the line in the log does."""
    kept = acts(world, 3)
    lost = list(kept.acts())[-1]
    altered(world.server.client, 3)
    assert looked_at(kept.acts(), world.keyring).fault == ""
    assert looked_at(kept.acts(), world.keyring, lost.name).fault == "entry 3 is gone, and whatever came after it"
    kept.record_act(replace(PAUSE, target="another"))
    assert looked_at(kept.acts(), world.keyring, lost.name).fault == "the log has another entry 3"


def test_redis_never_sees_the_key(real_server: Server) -> None:
    """What a thief of the whole server holds is not enough to write an entry."""
    world = World(real_server)
    entry = trail(world).record_act(PAUSE)
    assert entry.seal == world.keyring.audit_seal("a", entry.link)
    assert entry.seal != Keyring([("a", bytes(32))], FINGERPRINT).audit_seal("a", entry.link)
    dump = real_server.client.dump("otp:audit")
    assert SECRET not in dump
