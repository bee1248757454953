"""Guessing one after another, over the API: what counts, what never counts anew, and whose count it is."""

from __future__ import annotations

import pytest

from otp_service.policy import Limits, Window
from tests.attacks.http_api import Api
from tests.attacks.wire import Answer
from tests.world import Server, World

VICTIM, ATTACKER = "+8613800138000", "+8613900139000"
ADDRESS = "192.0.2.1"


@pytest.fixture
def api(world: World) -> Api:
    return Api(world)


def started(api: Api, to: str = VICTIM, **more: str) -> str:
    answer = api.start(to, **more)
    assert answer.status == 201, answer.body
    return str(answer.json()["id"])


def guesses(api: Api, world: World, id: str, times: int) -> list[int]:
    """What each wrong code leaves."""
    answers = [api.check(id, code=world.wrong_code(id)) for _ in range(times)]
    assert {answer.outcome for answer in answers} == {"code_mismatch"}
    return [answer.json()["attempts_left"] for answer in answers]


def test_the_right_code_after_the_last_wrong_one_opens_nothing(world: World, api: Api) -> None:
    """T01: the N-th wrong one says 0 and ends it; then there is no token, however often one asks."""
    id = started(api)
    right = world.code_of(id)
    assert guesses(api, world, id, 5) == [4, 3, 2, 1, 0]
    for ask in (
        lambda: api.check(id, code=right),
        lambda: api.call("POST", "/verifications/check", {"to": VICTIM, "purpose": "password_reset", "code": right}),
        lambda: api.call("POST", f"/verifications/{id}/check", {"code": right}, Idempotency_Key="again"),
    ):
        refused: Answer = ask()
        assert refused.outcome == "exhausted"
        assert "token" not in refused.json()


@pytest.mark.parametrize("resend", ["reuse", "rotate"])
@pytest.mark.parametrize("by_id", [True, False])
def test_a_resend_refills_nothing(server: Server, resend: str, by_id: bool) -> None:
    """T04: nor does a start that sends the pending one again."""
    world = World(server, resend=resend)
    api = Api(world)
    id = started(api)
    assert guesses(api, world, id, 4)[-1] == 1
    for send in (2, 3):
        world.move_clock(61)
        again = api.call("POST", f"/verifications/{id}/resend") if by_id else api.start(VICTIM)
        assert (again.json()["id"], again.json()["sends"], again.json()["attempts_left"]) == (id, send, 1)
    assert api.call("GET", f"/verifications/{id}").json()["attempts_left"] == 1


@pytest.mark.parametrize("limit", ["recipient", "client_ip", "prefix", "session", "device"])
@pytest.mark.parametrize("ahead", [0.0, 0.5, 0.999])
def test_no_rolling_window_holds_more_than_its_limit_wherever_its_edge_lies(
    real_server: Server, limit: str, ahead: float
) -> None:
    """T10: twice the limit, asked for across an edge of the clock's hours, and at a random place."""
    window = Window(5, 3600)
    world = World(
        real_server, Limits(**{**dict.fromkeys(("recipient", "failures", "client_ip", "prefix"), ()), limit: (window,)})
    )
    world.freeze_clock()
    api = Api(world)
    # The first half comes at the end of an hour of the clock, or of a part of it.
    world.move_clock(3600 - world.store.now() / 1000 % 3600 - 1 + ahead)
    sent: list[float] = []
    now = 0.0
    for n, gap in enumerate([0, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 1, 3, 3595, 0.4, 0.2, 0.2, 0.2, 0.2, 1, 10]):
        now += gap
        world.move_clock(gap)
        number = VICTIM if limit == "recipient" else f"{VICTIM[:-2]}{n:02d}"
        session = "one" if limit == "session" else str(n)
        answer = api.start(number, session=session, client_ip=ADDRESS, device="d")
        room = sum(at > now - window.seconds for at in sent) < window.count
        assert answer.status == (201 if room else 429)
        if room:
            sent.append(now)
        else:
            assert answer.json()["limit"] == limit
    assert len(sent) == 10


def test_an_attacker_who_verifies_his_own_number_leaves_the_victims_counts_as_they_are(server: Server) -> None:
    """T11: neither failures, nor sends, nor attempts of the victim are freed or used by it."""
    limits = Limits(recipient=(Window(2, 3600),), failures=(Window(3, 3600),), client_ip=(Window(50, 3600),), prefix=())
    world = World(server, limits, cooldown=(1,))
    world.freeze_clock()
    api = Api(world)
    victim = started(api, client_ip=ADDRESS)
    assert guesses(api, world, victim, 3)[-1] == 2
    for n in range(2):
        own = started(api, ATTACKER, client_ip=ADDRESS, session=str(n), device="attacker's")
        approved = api.check(own, code=world.code_of(own), session=str(n), device="attacker's")
        assert approved.outcome == "ok"
        refused = api.check(victim, code=world.code_of(victim), device="attacker's")
        assert (refused.status, refused.json()["limit"]) == (429, "failures")
    world.move_clock(2)
    assert api.start(VICTIM, client_ip=ADDRESS).status == 200
    world.move_clock(2)
    assert api.start(VICTIM, client_ip=ADDRESS).json()["limit"] == "recipient"
    world.move_clock(3597)
    assert guesses(api, world, started(api), 1) == [4]
