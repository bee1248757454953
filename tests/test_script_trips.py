"""A script that the server does not have is brought once, by however many it is missed at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from redis.exceptions import NoScriptError

from otp_service.ports import StoreDown
from otp_service.store.scripts import Script
from otp_service.store.trips import Trips, Word

SCRIPT = Script("return 1", Script.sha_of("return 1"))


class Forgetful(Trips):
    """Trips to a server that knows no script yet; `losses` of its EVALs are lost."""

    def __init__(self, losses: int = 0) -> None:
        super().__init__(None, {"one": SCRIPT})  # type: ignore[arg-type] - nothing leaves here
        self.asked: Counter[Word] = Counter()
        self._knows = False
        self._losses = losses

    async def command(self, *words: Word) -> Any:
        self.asked[words[0]] += 1
        await asyncio.sleep(0)
        if words[0] == "EVAL":
            if self._losses:
                self._losses -= 1
                raise StoreDown("lost")
            self._knows = True
        elif not self._knows:
            raise NoScriptError
        return words[-1]


def ask(trips: Trips, count: int) -> list[Any]:
    async def together() -> list[Any]:
        asked = (trips.script("one", [], [number]) for number in range(count))
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(together())


def test_of_a_hundred_that_miss_a_script_one_brings_its_text() -> None:
    trips = Forgetful()
    assert ask(trips, 100) == [*range(100)]
    assert trips.asked == {"EVALSHA": 199, "EVAL": 1}


def test_when_the_text_is_lost_another_brings_it() -> None:
    trips = Forgetful(losses=1)
    lost, *others = ask(trips, 10)
    assert isinstance(lost, StoreDown)
    assert others == [*range(1, 10)]
    assert trips.asked["EVAL"] == 2


def test_a_script_that_the_server_has_is_asked_for_by_its_name_alone() -> None:
    trips = Forgetful()
    ask(trips, 1)
    ask(trips, 5)
    assert trips.asked == {"EVALSHA": 6, "EVAL": 1}
