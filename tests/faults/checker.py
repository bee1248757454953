"""`Checker`: from two append-only logs and what is left in Redis, whether anything happened that must never happen.

The simulator's log says what gateways saw (`received`, `accepted`, `answered`, `report`; docs/simulator.md). The log of
the tests' own clients says what they asked for and were told:

| event   | fields                                                                                    |
|---------|-------------------------------------------------------------------------------------------|
| `start` | `id`, `send`, `mobile`, `dies` (monotonic seconds: from then on its code is no good)       |
| `check` | `id`, `key` (its Idempotency-Key or ""), `answer` (`approved`, `mismatch`, `ended`, `error`), |
|         | `token`, `replayed`                                                                       |
| `state` | `id`, `sends`, `delivery`, `status`: what a GET said at that moment                        |
| `kill`  | `point`: where a worker was killed                                                        |

The invariants are those of the design: **I1** every accepted send ends in exactly one terminal state, **I2** at most
one token a verification, **I3** comparisons within their caps, **I4** no SMS after the code has expired, **I5** at most
one SMS a channel and send, all of one verification with one code, **I6** no state moves backwards, **I7** no error
hides an approval for good from a caller with an Idempotency-Key.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from otp_service.verification import Delivery, Status, Verification

Line = Mapping[str, Any]

_PLACES = {Delivery.QUEUED: 0, Delivery.TRYING: 1, Delivery.ACCEPTED: 2}
_TERMINAL = 3
"""Every other state: from there nothing moves."""
_COMPARED = frozenset({"approved", "mismatch"})


def read_log(path: Path) -> list[Line]:
    """Every whole line: the last one of a log that is being written may still be cut."""
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


@dataclass(frozen=True, slots=True)
class Left:
    """What is left in Redis once the work is done."""

    entries: int = 0
    """In outboxes."""
    pending: int = 0
    """In the consumer group's pending lists."""
    later: int = 0
    """Open sends that somebody is to look at."""


@dataclass(frozen=True, slots=True)
class Caps:
    attempts: int = 5
    """Comparisons a verification."""
    failures: int = 10
    """Wrong codes a recipient."""
    grace: float = 0.0
    """Seconds: a try that was begun while the code lived may reach its gateway within one deadline."""


@dataclass(frozen=True, slots=True)
class Totals:
    sends: int
    kills: int
    lost: int
    """Accepted sends without an end."""
    duplicates: int
    """SMS to one number beyond one a send: by other channels, where nobody knew whether the first had gone out."""
    unknown: int
    """Tries of which nobody knows whether they were sent."""

    def __str__(self) -> str:
        return (
            f"sends {self.sends} · kills {self.kills} · lost {self.lost} · "
            f"duplicates {self.duplicates} · unknown {self.unknown}"
        )


@dataclass
class Checker:
    """`gateways` and `clients` are the lines of the two logs, `finals` what a GET says of each verification at last."""

    gateways: Sequence[Line]
    clients: Sequence[Line]
    finals: Mapping[str, Verification]
    left: Left = Left()
    caps: Caps = Caps()
    _starts: Sequence[Line] = field(init=False)
    _taken: Sequence[Line] = field(init=False)

    def __post_init__(self) -> None:
        self._starts = [line for line in self.clients if line["event"] == "start"]
        self._taken = [line for line in self.gateways if line["event"] == "accepted"]

    def totals(self) -> Totals:
        sends, messages = (Counter(line["mobile"] for line in lines) for lines in (self._starts, self._taken))
        return Totals(
            sends=len({(line["id"], line["send"]) for line in self._starts}),
            kills=len(self._of("kill")),
            lost=len(self._unended()),
            duplicates=sum(max(count - sends[mobile], 0) for mobile, count in messages.items()),
            unknown=sum(one.outcome == "unknown" for seen in self.finals.values() for one in seen.tries),
        )

    def violations(self) -> list[str]:
        """One line each, with the invariant that it breaks; none when all hold."""
        checks = (self._i1, self._i2, self._i3, self._i4, self._i5, self._i6, self._i7, self._reports)
        return [f"{check.__name__[1:].upper()}: {said}" for check in checks for said in check()]

    # --- the invariants -------------------------------------------------------------------------------------------

    def _i1(self) -> Iterator[str]:
        for id in self._unended():
            seen = self.finals.get(id)
            yield f"{id} has no end: {seen.delivery if seen else 'it is gone'}"
        for id, seen in self.finals.items():
            if any(one.outcome is None for one in seen.tries):
                yield f"{id} has a try without an outcome"
        if any((self.left.entries, self.left.pending, self.left.later)):
            yield f"work is left over: {self.left}"

    def _i2(self) -> Iterator[str]:
        for id, lines in self._by_id("check").items():
            approved = [line for line in lines if line["answer"] == "approved"]
            if len({line["token"] for line in approved}) > 1:
                yield f"{id} has more than one token"
            if sum(not line["replayed"] for line in approved) > 1:
                yield f"{id} was approved more than once"

    def _i3(self) -> Iterator[str]:
        mobiles = {line["id"]: line["mobile"] for line in self._starts}
        wrong: Counter[str] = Counter()
        for id, lines in self._by_id("check").items():
            compared = [line["answer"] for line in lines if line["answer"] in _COMPARED and not line["replayed"]]
            wrong[mobiles[id]] += compared.count("mismatch")
            if len(compared) > self.caps.attempts:
                yield f"{id} was compared {len(compared)} times"
        for count in wrong.values():
            if count > self.caps.failures:
                yield f"one recipient met {count} wrong codes"

    def _i4(self) -> Iterator[str]:
        # A number's later verification may live when the earlier is dead: the last death decides.
        dies: dict[str, float] = defaultdict(float)
        for line in self._starts:
            dies[line["mobile"]] = max(dies[line["mobile"]], line["dies"])
        for line in self._taken:
            late = line["monotonic"] - dies[line["mobile"]]
            if late > self.caps.grace:
                yield f"{line['account']} took an SMS {late:.1f} s after its code had expired"

    def _i5(self) -> Iterator[str]:
        sends, ids = Counter(line["mobile"] for line in self._starts), defaultdict(set)
        for line in self._starts:
            ids[line["mobile"]].add(line["id"])
        for (mobile, account), count in Counter((line["mobile"], line["account"]) for line in self._taken).items():
            if count > sends[mobile]:
                yield f"{account} took {count} SMS of {sends[mobile]} sends to one number"
        for mobile, codes in _grouped(self._taken, "mobile", "code").items():
            if len(codes) > len(ids[mobile]):
                yield f"{len(codes)} codes went to one number for {len(ids[mobile])} verifications"

    def _i6(self) -> Iterator[str]:
        seen = self._by_id("state")
        for id, lines in seen.items():
            final = self.finals.get(id)
            path = [(line["sends"], line["delivery"], line["status"]) for line in lines]
            path += [(final.sends, final.delivery, final.status)] if final else []
            for before, after in pairwise(path):
                if _moves_back(before, after):
                    yield f"{id} went from {' '.join(map(str, before))} to {' '.join(map(str, after))}"

    def _i7(self) -> Iterator[str]:
        for id, lines in self._by_id("check").items():
            final = self.finals.get(id)
            hidden = any(line["key"] and line["answer"] == "error" for line in lines)
            fetched = any(line["answer"] == "approved" for line in lines)
            if hidden and final and final.status is Status.APPROVED and not fetched:
                yield f"{id} is approved, and whoever asked was told of an error only"

    def _reports(self) -> Iterator[str]:
        """What only a report can say was said by one."""
        reported = {line["mobile"] for line in self.gateways if line["event"] == "report"}
        mobiles = {line["id"]: line["mobile"] for line in self._starts}
        for id, seen in self.finals.items():
            if seen.delivery in (Delivery.DELIVERED, Delivery.UNDELIVERED) and mobiles.get(id) not in reported:
                yield f"{id} is {seen.delivery}, and no gateway ever reported on it"

    # --- what they have in common ---------------------------------------------------------------------------------

    def _unended(self) -> list[str]:
        ids = dict.fromkeys(line["id"] for line in self._starts)
        return [id for id in ids if id not in self.finals or _place(self.finals[id].delivery) < _TERMINAL]

    def _of(self, event: str) -> list[Line]:
        return [line for line in self.clients if line["event"] == event]

    def _by_id(self, event: str) -> dict[str, list[Line]]:
        found: dict[str, list[Line]] = defaultdict(list)
        for line in self._of(event):
            found[line["id"]].append(line)
        return found


def _place(delivery: str) -> int:
    return _PLACES.get(Delivery(delivery), _TERMINAL)


def _moves_back(before: tuple[int, str, str], after: tuple[int, str, str]) -> bool:
    (sends, delivery, status), (next_sends, next_delivery, next_status) = before, after
    if status not in (Status.PENDING, next_status) or next_sends < sends:
        return True
    if next_sends > sends:
        return False
    at_end = _place(delivery) == _TERMINAL and delivery != next_delivery
    return at_end or _place(next_delivery) < _place(delivery)


def _grouped(lines: Iterable[Line], by: str, what: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        found[line[by]].add(line[what])
    return found
