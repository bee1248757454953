"""What the fields of a verification's record are called in Redis: a name of many letters would stand in each record.

Scripts say `F.status`, which `scripts.py` replaces by the name here. Beside these a record has `d0` to `d9`, the
digests of its codes, and `r:<nonce>`, what the request of that nonce was answered. What is 0 or empty has no field.
`promised` is what no script looks into: how many sends there may be, how long a token lives, the number as it names it.
"""

from __future__ import annotations

RECORD = {
    "approved": "ap",
    "asked": "as",
    "attempts": "a",
    "avoid": "av",
    "binding": "bd",
    "bindings": "b",
    "buckets": "bu",
    "channel": "ch",
    "client": "cl",
    "code_length": "l",
    "context": "x",
    "counter": "c",
    "created": "t",
    "d0": "d0",
    "deliver": "dl",
    "delivery": "dv",
    "device": "de",
    "entry": "en",
    "expires": "e",
    "extra": "ex",
    "guard": "g",
    "holder": "h",
    "kid": "k",
    "lineage": "lg",
    "listen": "li",
    "locale": "lo",
    "mask": "m",
    "max_attempts": "ma",
    "maybe": "mb",
    "metadata": "md",
    "promised": "pr",
    "purpose": "p",
    "resend": "rs",
    "rid": "ri",
    "route": "ro",
    "said": "sa",
    "scope": "sc",
    "seed": "sd",
    "sends": "n",
    "status": "s",
    "test": "te",
    "to": "to",
    "token": "tk",
    "turn": "tu",
    "used": "us",
    "valid_from": "vf",
    "valid_to": "vt",
    "wait": "wa",
}
