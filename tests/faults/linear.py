"""Whether what callers were told of one verification could have come about one step after the other (linearizable).

Each operation takes effect at one moment between its call and its answer, if there is an order of all of them in which
a model of a few lines gives everybody the answer that he was given. Wing's and Gong's search, which doesn't visit the
same set of done operations in the same state twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ATTEMPTS = 5
_ENDS = frozenset({"approved", "exhausted", "canceled"})


@dataclass(frozen=True, slots=True)
class State:
    status: str = "pending"
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """`call` and `end` are moments of one clock; nobody was ever told of one whose end is infinite."""

    kind: str
    """`right`, `wrong` (a code), `cancel` or `get`."""
    told: str
    """`approved`, `mismatch`, `canceled`, `ended <status>`; of a get the status and the wrong codes: `pending 2`."""
    call: float
    end: float = math.inf


def step(state: State, one: Operation) -> State | None:
    """The state after it; None where such an answer is impossible."""
    if one.kind == "get":
        return state if one.told in (f"{state.status} {state.wrong}", "") else None
    after, told = _effect(state, one.kind)
    return after if one.told in (told, "") else None


def _effect(state: State, kind: str) -> tuple[State, str]:
    if kind == "cancel" and state.status in ("pending", "canceled"):
        return State("canceled", state.wrong), "canceled"
    if state.status in _ENDS:
        return state, f"ended {state.status}"
    if kind == "right":
        return State("approved", state.wrong), "approved"
    wrong = state.wrong + 1
    return State("exhausted" if wrong == ATTEMPTS else "pending", wrong), "mismatch"


def is_linearizable(history: Sequence[Operation]) -> bool:
    """An operation without an end may have happened or not; all others have."""
    ops = sorted(history, key=lambda one: one.call)
    told = sum(1 << nth for nth, one in enumerate(ops) if one.end < math.inf)
    seen: set[tuple[int, State]] = set()
    stack = [(0, State())]
    while stack:
        done, state = stack.pop()
        if done & told == told:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        left = [(nth, one) for nth, one in enumerate(ops) if not done >> nth & 1]
        first_end = min(one.end for _, one in left)
        for nth, one in left:
            if one.call > first_end:
                break  # it began when another was over already
            if (after := step(state, one)) is not None:
                stack.append((done | 1 << nth, after))
    return False
