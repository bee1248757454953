"""What an account fetches later: delivery reports, each handed out once, and replies from handsets."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from otp_service.simulator.dialects import clock

MAX_WAITING = 20_000
"""Per account. When nobody fetches, the oldest are dropped."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report: status 10 is delivered, 20 failed."""

    mobile: str
    taskid: str
    status: str
    errorcode: str
    at: float
    extno: str = ""
    id: str = ""
    """Of the report itself, the same for every try to push it."""
    extras: Mapping[str, str] = field(default_factory=dict)
    """What it repeats of the request, by names of the protocol's own."""

    @property
    def state(self) -> str:
        """`delivered`, `undelivered` or `pending`: the status wins, then the errorcode."""
        if self.status:
            return "delivered" if self.status in {"10", "DELIVRD"} else "undelivered"
        if not self.errorcode:
            return "pending"
        return "delivered" if self.errorcode == "DELIVRD" else "undelivered"

    def leaves(self) -> dict[str, str]:
        status = {"status": self.status} if self.status else {}
        return {
            "mobile": self.mobile,
            "taskid": self.taskid,
            **status,
            "receivetime": clock(self.at),
            "errorcode": self.errorcode,
            "extno": self.extno,
        }


@dataclass(frozen=True, slots=True)
class HandsetReply:
    """What a handset sent back."""

    mobile: str
    content: str
    at: float
    taskid: str = ""
    extno: str = ""

    def leaves(self) -> dict[str, str]:
        return {
            "mobile": self.mobile,
            "taskid": self.taskid,
            "content": self.content,
            "receivetime": clock(self.at),
            "extno": self.extno,
        }


class Reports:
    """Reports that wait for their time and for their account to ask."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[tuple[float, int, Report]]] = {}
        self._count = 0

    def plan(self, account: str, due: float, report: Report) -> None:
        self._count += 1
        waiting = self._waiting.setdefault(account, [])
        heappush(waiting, (due, self._count, report))
        if len(waiting) > MAX_WAITING:
            heappop(waiting)

    def take(self, account: str, now: float, most: int, taskid: str = "") -> list[Report]:
        """Hand out what is due, the oldest first, `most` at the most, once each; of one task if it is named."""
        waiting = self._waiting.get(account)
        if waiting is None:
            return []
        taken: list[Report] = []
        kept: list[tuple[float, int, Report]] = []
        while waiting and waiting[0][0] <= now and len(taken) < most:
            entry = heappop(waiting)
            if taskid and entry[2].taskid != taskid:
                kept.append(entry)
            else:
                taken.append(entry[2])
        if kept:
            waiting.extend(kept)
            heapify(waiting)
        return taken

    def look(self, account: str, now: float, taskid: str, mobile: str) -> Report | None:
        """The latest report that is due for one message; it stays where it is."""
        due = [entry for entry in self._waiting.get(account, ()) if entry[0] <= now]
        found = [entry for entry in due if (entry[2].taskid, entry[2].mobile) == (taskid, mobile)]
        return max(found)[2] if found else None

    def clear(self) -> None:
        self._waiting.clear()


class HandsetReplies:
    """Replies that wait for their account to ask; handed out once."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[HandsetReply]] = {}

    def add(self, account: str, reply: HandsetReply) -> None:
        self._waiting.setdefault(account, deque(maxlen=MAX_WAITING)).append(reply)

    def take(self, account: str, most: int) -> list[HandsetReply]:
        waiting = self._waiting.get(account, deque())
        return [waiting.popleft() for _ in range(min(most, len(waiting)))]

    def clear(self) -> None:
        self._waiting.clear()
