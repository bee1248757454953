"""What is held on a person: all of it is shown, all of it can be erased, and no limit is got round that way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import redis

from otp_service.errors import CodeMismatch, NotFound, RateLimited, RecipientDisabled
from otp_service.events import Event, Webhook
from otp_service.keyring import Keyring
from otp_service.policy import Limits, Window
from otp_service.ports import Begun, Busy, Candidate, Heard, Held, StoreDown, Subject, TakeEnd, Verdict, Wish
from otp_service.recipient import parse
from otp_service.store import (
    RedisHookQueue,
    RedisOutbox,
    RedisPersonalData,
    RedisReportLog,
    Trips,
)
from otp_service.store.event_rows import event_of
from otp_service.verifier import Idempotency
from tests.attacks.test_at_rest import contents
from tests.test_store_keys import kind_of, ours
from tests.world import ACCEPTED, BANK, FINGERPRINT, KEYS, MOVABLE, NUMBER, SHOP, UNLIMITED, Server, World

OTHER = "+8613912345678"
HOOK = Webhook("crm", "https://crm.example.com/hook", ("whsec_x",))
LIMITS = {"recipient", "recipient_at", "failures", "failed", "suppressed"}
"""Kinds of key that count against a limit: they stay."""
COUNTED = {"recipient", "channel:primary", "failures", "failures_in_a_row", "suppressed", "cooldown"}
"""The same, as a person is told."""
PURPOSES = ("login", "signup", "password_reset")
ROOMY = Limits(recipient=(Window(100, 3600),), failures=(Window(20, 3600),), client_ip=(), prefix=())


def data(world: World, client: Any = None, **more: Any) -> RedisPersonalData:
    given = {"channels": ("primary", "backup"), "webhooks": (HOOK,), "scripts": MOVABLE, **more}
    return RedisPersonalData(client or world.server.client, world.keyring, **given)


def subject(world: World, number: str = NUMBER) -> Subject:
    to, keyring = parse(number, ""), world.keyring
    recipient = keyring.recipient(to.e164)
    owners = {client.name: keyring.owner(client.name, recipient) for client in (SHOP, BANK)}
    scopes = {
        keyring.scope(client.name, purpose, to.e164, None): client.name
        for client in (SHOP, BANK)
        for purpose in client.purposes
    }
    return Subject(keyring.partition(to.prefix), recipient, owners, scopes)


def kinds(held: Held) -> set[str]:
    return {one.kind for one in held.holdings}


def asked(world: World, ask: Callable[[Any], Any]) -> Any:
    """Something of an adapter that lives in an event loop."""

    async def run() -> Any:
        client = world.server.make_async()
        try:
            return await ask(client)
        finally:
            await client.aclose()

    return asyncio.run(run())


@pytest.fixture
def busy(server: Server) -> World:
    """Two clients that have dealt with one person, another person beside, and everything that there may be of them."""
    world = World(server, ROOMY)
    windows = (Window(50, 3600),)
    world.with_rules(
        channels=tuple(replace(rule, recipient_windows=windows) for rule in world.rules.channels),
        listened=frozenset({"*"}),
    )
    world.reporting = {"primary"}
    approved = world.start(session="s", device="d", metadata={"order": "7"}).verification.id
    world.start(OTHER)
    world.deliver()
    world.check(approved, world.code_of(approved), session="s", device="d")
    on_the_device = world.start(session="t", device="d").verification.id
    with pytest.raises(CodeMismatch):
        world.check(on_the_device, world.wrong_code(on_the_device), session="t", device="d")
    pending = world.start(client=BANK, purpose="signup", idempotency=Idempotency("k", "/", b"")).verification.id
    with pytest.raises(CodeMismatch):
        world.check(pending, world.wrong_code(pending), BANK)
    world.store.suppress(subject(world).partition, subject(world).owners["shop"])
    lost = world.start(purpose="login", client=BANK).verification.id
    world.deliver()
    server.client.delete(*server.client.keys(f"*:v:{lost}"))
    asked(world, lambda client: events_told(world, client))
    asked(world, lambda client: reports_heard(world, client))
    partition = subject(world).partition
    server.client.xadd(KEYS.dead(partition), {"id": pending, "send": 1, "at": 1, "why": "left too often"})
    return world


async def events_told(world: World, client: Any) -> None:
    """Half of the events have left for the webhook."""
    told = events(world)[::2]
    await RedisHookQueue(client, scripts=MOVABLE).add(HOOK, [event for _, event in told])
    world.server.client.xdel(stream_of(world), *(entry for entry, _ in told))


def stream_of(world: World) -> str:
    return KEYS.events(subject(world).partition)


def events(world: World) -> list[tuple[bytes, Event]]:
    stream = stream_of(world)
    entries = world.server.client.xrange(stream)
    return [(entry, event) for entry, fields in entries if (event := event_of(stream, entry.decode(), fields))]


async def reports_heard(world: World, client: Any) -> None:
    log = RedisReportLog(Trips(client, MOVABLE))
    heard = [
        Heard("primary", f"name-{number[-1]}", world.keyring.recipient(number), True) for number in (NUMBER, OTHER)
    ]
    await log.keep(heard)
    for one in heard:
        await log.put_off(one, 60_000)


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_everything_that_is_held_on_a_person_is_found(busy: World) -> None:
    """Over all clients; also tries that outlived their verification."""
    held = data(busy).held(subject(busy))
    assert sorted(one.client for one in held.verifications) == ["", "bank", "shop", "shop"]
    assert {bool(one.facts): bool(one.client) for one in held.verifications} == {True: True, False: False}
    assert all(one.tries for one in held.verifications)
    assert kinds(held) == COUNTED | {"lookup", "approved", "devices", "failures_of_device"} | {
        "event",
        "webhook_event",
        "report",
        "dead_letter",
    }


def test_each_thing_says_whose_it_is_how_much_and_when_it_goes(busy: World) -> None:
    held = {(one.kind, one.client): one for one in data(busy).held(subject(busy)).holdings}
    now = data(busy).held(subject(busy)).now
    assert held["recipient", ""].count == 4
    assert len(held["recipient", ""].moments) == 4
    assert now < held["recipient", ""].until <= now + 3_600_000
    assert held["failures", "bank"].count == 1
    assert held["suppressed", "shop"].until > now + 700 * 86_400_000
    assert held["lookup", "shop"].count == 2
    assert ("failures", "shop") not in held
    assert (held["devices", "shop"].count, held["failures_of_device", "shop"].count) == (1, 1)
    assert held["failures_in_a_row", "bank"].count == 1
    assert now + 89 * 86_400_000 < held["approved", ""].until <= now + 90 * 86_400_000


def test_nothing_of_anybody_else_is_shown(busy: World) -> None:
    other = data(busy).held(subject(busy, OTHER))
    assert len(other.verifications) == 1
    assert not {one.id for one in other.verifications} & {
        one.id for one in data(busy).held(subject(busy)).verifications
    }
    assert kinds(other) & {"suppressed", "failures", "dead_letter"} == set()


def test_nothing_is_held_on_whom_nobody_asked_for(busy: World) -> None:
    held = data(busy).held(subject(busy, "+8613700137000"))
    assert (held.verifications, held.holdings) == ([], [])


def test_looking_changes_nothing(busy: World) -> None:
    before = contents(busy.server.client)
    data(busy).held(subject(busy))
    assert contents(busy.server.client) == before


# --- what is erased ---------------------------------------------------------------------------------------------------


def left_of(world: World, ids: set[str], whom: Subject) -> set[str]:
    """Kinds of key whose name or content names the person or a verification."""
    client: redis.Redis = world.server.client
    words = [*ids, whom.recipient, *whom.owners.values()]
    found = set()
    for key in ours(world):
        # No DUMP: of a stream's deleted entry, Redis keeps the bytes until it packs the stream anew.
        said = key + contents_of(client, key)
        if any(word.encode() in said for word in words):
            found.add(kind_of(key))
    return found


def contents_of(client: Any, key: bytes) -> bytes:
    reads: dict[bytes, Callable[[], Any]] = {
        b"hash": lambda: client.hgetall(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"zset": lambda: client.zrange(key, 0, -1),
        b"stream": lambda: client.xrange(key),
        b"string": lambda: client.get(key),
    }
    return repr(reads[client.type(key)]()).encode()


def test_after_an_erasure_nothing_names_the_person_but_what_counts_against_the_limits(busy: World) -> None:
    """An Idempotency-Key's answer stays for its two hours: nothing leads from a number to it."""
    whom = subject(busy)
    ids = {one.id for one in data(busy).held(whom).verifications}
    assert left_of(busy, ids, whom) > LIMITS | {"record", "tries", "scope", "dead", "hooks", "reports", "orphans"}
    data(busy).erase(whom)
    assert left_of(busy, ids, whom) <= LIMITS | {"claim"}
    held = data(busy).held(whom)
    assert held.verifications == []
    assert kinds(held) == COUNTED


def test_an_erasure_says_what_went_and_what_stays(busy: World) -> None:
    erased = data(busy).erase(subject(busy))
    assert erased.counts["verification"] == 3
    assert erased.counts["pending"] == 2
    assert erased.counts["try"] >= 2
    assert erased.counts["dead_letter"] == 1
    assert erased.counts["cooldown"] == 0
    assert erased.counts["event"] + erased.counts["webhook_event"] >= 2
    assert erased.counts["report"] == 2
    assert {one.kind for one in erased.kept} == COUNTED


def test_an_erasure_may_be_repeated(busy: World) -> None:
    """As after one that was interrupted."""
    data(busy).erase(subject(busy))
    again = data(busy).erase(subject(busy))
    assert set(again.counts.values()) == {0}


class Cut:
    """A client of Redis whose connection breaks for good after so many calls."""

    def __init__(self, client: redis.Redis, calls: int) -> None:
        self._client = client
        self._left = calls

    def __getattr__(self, name: str) -> Any:
        self._left -= 1
        if self._left < 0:
            raise redis.ConnectionError(name)
        return getattr(self._client, name)


@pytest.mark.parametrize("calls", [3, 14, 24])
def test_one_that_was_interrupted_is_finished_by_the_next(busy: World, calls: int) -> None:
    """Wherever it was: nothing is left that only the first could have found."""
    whom = subject(busy)
    ids = {one.id for one in data(busy).held(whom).verifications}
    with pytest.raises(StoreDown):
        data(busy, Cut(busy.server.client, calls)).erase(whom)
    data(busy).erase(whom)
    assert left_of(busy, ids, whom) <= LIMITS | {"claim"}


def test_nothing_of_anybody_else_is_erased(busy: World) -> None:
    whom = subject(busy, OTHER)
    before = data(busy).held(whom)
    data(busy).erase(subject(busy))
    after = data(busy).held(whom)
    assert after.verifications == before.verifications
    assert [(one.kind, one.count) for one in after.holdings] == [(one.kind, one.count) for one in before.holdings]


def test_what_pends_is_over_and_is_told_to_nobody(world: World) -> None:
    """Neither code nor number is left to be sent."""
    id = world.start().verification.id
    assert data(world).erase(subject(world)).counts["queued_send"] == 0
    world.deliver()
    assert [gateway.inbox for gateway in world.gateways] == [[], []]
    for call in (lambda: world.get(id), lambda: world.check(id, "123456")):
        with pytest.raises(NotFound):
            call()
    for key in world.server.client.keys("*:outbox"):
        assert world.server.client.xlen(key) == 0


def test_a_worker_that_has_a_send_in_hand_leaves_nothing_behind(world: World) -> None:
    """It took the send before, and its gateway answers after: no key comes back to life."""
    world.start()

    async def work(client: Any) -> None:
        outbox = RedisOutbox(client, "w1", world.keyring, trips=Trips(client, MOVABLE))
        await outbox.open()
        [entry] = await outbox.read(1, 100)
        begun = await outbox.take(entry, "fence", [Candidate("primary", "", False)], "failover")
        assert isinstance(begun, Begun)
        data(world).erase(subject(world))
        assert not await outbox.record(entry, begun, "fence", ACCEPTED, 5)
        assert await outbox.take(entry, "fence", [], "failover") is TakeEnd.OVER
        await outbox.settle(entry, "fence", Verdict.ACCEPTED)

    asked(world, work)
    assert {kind_of(key) for key in ours(world)} <= {"recipient", "prefix", "guarded_prefix", "scope", "outbox"}


def test_a_reader_that_has_an_event_in_hand_queues_it_no_more(world: World) -> None:
    """It read the event before, and would give it to the webhook after."""
    world.with_rules(listened=frozenset({"*"}))
    world.start()
    world.deliver()

    in_hand = [event for _, event in events(world)]
    assert in_hand
    data(world).erase(subject(world))

    async def tell(client: Any) -> None:
        await RedisHookQueue(client, scripts=MOVABLE).add(HOOK, in_hand)

    asked(world, tell)
    assert world.server.client.hlen("otp:{h:crm}:hooks") == 0


def test_a_stop_that_is_not_heeded_yet_is_heeded_all_the_same(world: World) -> None:
    """It is the person's own wish."""
    whom = subject(world)
    heard = Heard("primary", "", whom.recipient, wish=Wish.STOP, owners=tuple(whom.owners.values()))

    async def keep(client: Any) -> None:
        await RedisReportLog(Trips(client, MOVABLE)).keep([heard])

    asked(world, keep)
    data(world).erase(whom)
    assert kinds(data(world).held(whom)) == {"reply"}


def test_many_verifications_go_in_steps(world: World) -> None:
    world.with_rules(limits=UNLIMITED)
    for n in range(7):
        world.start(session=str(n))
    assert data(world, at_once=2).erase(subject(world)).counts["verification"] == 7
    assert data(world).held(subject(world)).verifications == []


def test_those_that_fell_off_the_list_go_too(world: World) -> None:
    """It holds the latest twenty."""
    world.start(session="a")
    world.server.client.delete(*world.server.client.keys("*:l:*"))
    world.start(session="b")
    assert data(world).erase(subject(world)).counts["verification"] == 2


def test_it_needs_no_secret_key_but_that_of_the_names(busy: World) -> None:
    """A record whose secret key was lost can be erased."""
    busy.keyring = Keyring([("z", bytes(32))], FINGERPRINT)
    assert data(busy).erase(subject(busy)).counts["verification"] == 3


# --- somebody starts meanwhile ----------------------------------------------------------------------------------------


class Between:
    """A client of Redis that lets something happen before each of its scripts."""

    def __init__(self, client: redis.Redis, happens: Callable[[], object]) -> None:
        self._client = client
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def eval(self, text: str, *arguments: Any) -> Any:
        if "moved" in text:
            self._happens()
        return self._client.eval(text, *arguments)


@pytest.mark.parametrize("in_session", [True, False])
def test_a_start_at_the_same_moment_is_erased_whole_or_stays_whole(world: World, in_session: bool) -> None:
    """The step sees that the list, or a scope, names another one, and looks again."""
    world.with_rules(limits=UNLIMITED)
    said = iter([{"session": one} for one in "abc"] if in_session else [{"purpose": one} for one in PURPOSES])

    def start() -> None:
        if words := next(said, None):
            world.start(**words)

    erased = data(world, Between(world.server.client, start)).erase(subject(world))
    assert erased.counts["verification"] == 3
    assert left_of(world, set(), subject(world)) == set()

    late = world.start(session="d").verification.id
    world.deliver()
    assert world.check(late, world.code_of(late), session="d").verification.status == "approved"


def test_one_that_never_comes_to_rest_is_given_up(world: World) -> None:
    world.with_rules(limits=UNLIMITED)
    sessions = iter(range(100))
    with pytest.raises(Busy):
        data(world, Between(world.server.client, lambda: world.start(session=str(next(sessions))))).erase(
            subject(world)
        )


def test_many_starts_at_the_same_moment_leave_nothing_half(real_world: World) -> None:
    """Those that came after it are whole; and the next erasure finds every one of them."""
    real_world.with_rules(limits=UNLIMITED)

    def start(beginning: str) -> dict[str, str]:
        sessions = [f"{beginning}{n}" for n in range(15)]
        return {session: real_world.start(session=session).verification.id for session in sessions}

    def erase() -> None:
        for _ in range(5):
            with suppress(Busy):
                data(real_world).erase(subject(real_world))

    with ThreadPoolExecutor() as threads:
        erasing = threads.submit(erase)
        started = {session: id for made in threads.map(start, "ab") for session, id in made.items()}
        erasing.result()
    left = {one.id for one in data(real_world).held(subject(real_world)).verifications}
    for session, id in started.items():
        if id in left:
            code = real_world.code_of(id)
            assert real_world.check(id, code, session=session).verification.status == "approved"
    data(real_world).erase(subject(real_world), also_limits=True)
    assert left_of(real_world, set(started.values()), subject(real_world)) == set()


# --- no way round the limits ------------------------------------------------------------------------------------------


def test_a_cooldown_goes_on_after_an_erasure(world: World) -> None:
    world.start()
    data(world).erase(subject(world))
    with pytest.raises(RateLimited) as refused:
        world.start()
    assert refused.value.limit == "cooldown"
    world.move_clock(61)
    assert world.start().created


def test_the_next_cooldown_is_as_long_as_it_would_have_been(world: World) -> None:
    """The sequence of waits belongs to the four."""
    world.freeze_clock()
    for wait in (60, 60, 120):
        assert world.start().verification.resend_in == wait
        data(world).erase(subject(world))
        world.move_clock(wait)


def test_sends_and_wrong_codes_count_on_after_an_erasure(server: Server) -> None:
    world = World(server, Limits(recipient=(Window(2, 3600),), failures=(Window(3, 3600),), client_ip=(), prefix=()))
    first = world.start(session="a").verification.id
    for _ in range(3):
        with pytest.raises(CodeMismatch):
            world.check(first, world.wrong_code(first), session="a")
    data(world).erase(subject(world))
    second = world.start(session="b").verification.id
    with pytest.raises(RateLimited, match="failures"):
        world.check(second, world.code_of(second), session="b")
    with pytest.raises(RateLimited, match="recipient"):
        world.start(session="c")


def test_the_limits_may_be_erased_later(world: World) -> None:
    """Where the first erasure kept them."""
    world.start()
    data(world).erase(subject(world))
    assert data(world).erase(subject(world), also_limits=True).kept == []
    assert world.start().created


def test_a_number_that_is_disabled_stays_so(server: Server) -> None:
    """Else an erasure would give an attacker as many wrong codes again."""
    world = World(server, replace(ROOMY, disable_after=2))
    id = world.start(session="a").verification.id
    for _ in range(2):
        with pytest.raises(CodeMismatch):
            world.check(id, world.wrong_code(id), session="a")
    data(world).erase(subject(world))
    with pytest.raises(RecipientDisabled):
        world.start(session="b")


def test_a_device_that_was_known_is_a_strangers_after_an_erasure(server: Server) -> None:
    """What made things easier for the person goes; what counts against strangers stays."""
    world = World(server, replace(ROOMY, failures=(Window(1, 3600),)))
    first = world.start(session="a").verification.id
    world.check(first, world.code_of(first), session="a", device="d")
    second = world.start(session="b").verification.id
    with pytest.raises(CodeMismatch):
        world.check(second, world.wrong_code(second), session="b")
    data(world).erase(subject(world))
    third = world.start(session="c").verification.id
    with pytest.raises(RateLimited, match="failures"):
        world.check(third, world.code_of(third), session="c", device="d")


def test_with_the_limits_nothing_at_all_is_left(busy: World) -> None:
    """For whom the operator believes: the number may be tried anew."""
    whom = subject(busy)
    ids = {one.id for one in data(busy).held(whom).verifications}
    erased = data(busy).erase(whom, also_limits=True)
    assert erased.kept == []
    assert erased.counts["key"] >= 9
    assert left_of(busy, ids, whom) <= {"claim"}
    assert busy.start(client=BANK, purpose="signup").created
