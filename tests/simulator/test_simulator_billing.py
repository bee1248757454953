"""Our texts as a gateway takes and bills them: the simulator counts by itself, and shows what came to the handset."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

import pytest
from simulator_helpers import NUMBER, Simulator

from otp_service.channels import SmsAspxChannel, SmsAspxSettings
from otp_service.errors import ConfigError
from otp_service.messages import Signature, Text, check_text
from otp_service.ports import Message, Outcome
from tests.test_messages import gbk_characters_ending_in

SIGNATURE = Signature("今信科技", "front")
MOST_PARTS = 3


def sent(simulator: Simulator, encoding: str, texts: Iterable[str]) -> None:
    """Each text to one number, by our channel; every one must be accepted."""

    async def send() -> None:
        keys = {"userid": "12", "account": "demo", "password": "demo", "encoding": encoding}
        channel = SmsAspxChannel(SmsAspxSettings("primary", simulator.url.rstrip("/"), deadline=30, **keys))
        try:
            for text in texts:
                result = await channel.deliver(Message(f"+86{NUMBER}", text))
                assert result.outcome is Outcome.ACCEPTED, (result, text)
        finally:
            await channel.aclose()

    asyncio.run(send())


def sample(chance: random.Random) -> str:
    """A text that an operator might write: of letters, Chinese, or with what GSM-7 counts twice or has not."""
    kinds = ["abc DEF.,!?", "您好请勿告知他人有效，。", "^~[]|€", "é’“😀🀄ñ"]
    words = [chance.choice(chance.choice(kinds[: chance.randint(1, 4)])) for _ in range(chance.randint(0, 200))]
    place = chance.randint(0, len(words))
    return "".join(words[:place]) + " {{ code }} " + "".join(words[place:])


def assert_billed_as_computed(simulator: Simulator, count: int) -> None:
    """T47: what passes `max_parts` is billed as computed, one by one; what would cost more is refused at the start."""
    simulator.account(templates=[], keywords=[], frequency=[], max_length=1000, signature_required=False)
    chance, taken, refused = random.Random(47), {}, 0
    while len(taken) < count:
        source = Text.parse(sample(chance), where="messages.login.zh-CN")
        signature = chance.choice([SIGNATURE, None])
        try:
            parts = check_text(
                source,
                where=source.where,
                ttl=300,
                code_length=6,
                max_parts=MOST_PARTS,
                encoding="utf-8",
                signature=signature,
                variables={},
            )
        except ConfigError:
            refused += 1
            continue
        taken[source.render(f"{len(taken):06d}", 5, {}, signature)] = parts.parts
    before = simulator.http.get("/api/accounts/demo").json()["balance"]
    sent(simulator, "utf-8", taken)
    assert before - simulator.http.get("/api/accounts/demo").json()["balance"] == sum(taken.values())
    shown = {message["content"]: message["parts"] for message in simulator.messages(limit=count)}
    assert shown == {text: taken[text] for text in shown}
    assert shown
    assert refused
    assert set(taken.values()) == {1, 2, 3}


def test_the_parts_that_we_compute_are_those_that_the_gateway_bills(simulator: Simulator) -> None:
    """T47, small."""
    assert_billed_as_computed(simulator, 20)


@pytest.mark.slow
def test_a_thousand_texts_are_billed_as_computed(simulator: Simulator) -> None:
    """T47, full size."""
    assert_billed_as_computed(simulator, 1000)


def assert_whole_by_gbk(simulator: Simulator, characters: list[str]) -> None:
    simulator.account(templates=[], keywords=[], frequency=[])
    texts = [f"【今信科技】您的验证码是{n:06d}，{char}" for n, char in enumerate(characters)]
    sent(simulator, "gbk", texts)
    assert [message["content"] for message in simulator.messages(limit=len(texts))] == texts[::-1]


def test_a_character_that_ends_in_a_backslash_or_a_bar_reaches_the_handset_whole(simulator: Simulator) -> None:
    r"""T50, small: in GBK its second byte is that of \ or |, and would break a field that is split at bytes."""
    assert_whole_by_gbk(simulator, [*gbk_characters_ending_in(0x5C)[::12], *gbk_characters_ending_in(0x7C)[::12]])


@pytest.mark.slow
def test_all_236_characters_that_end_in_a_backslash_or_a_bar_reach_the_handset_whole(simulator: Simulator) -> None:
    """T50, full size."""
    both = [*gbk_characters_ending_in(0x5C), *gbk_characters_ending_in(0x7C)]
    assert len(both) == 236
    assert_whole_by_gbk(simulator, both)
