"""The paths of the family: what each is for, whose manners it follows and which charset it speaks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from otp_service.simulator.dialects import Profile


class Task(StrEnum):
    SMS = "sms"
    REPORTS = "statusbox"
    REPLIES = "callbox"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path. `profile` None: the account's own. `charsets` are tried in turn; the first is answered in."""

    task: Task
    profile: Profile | None = None
    charsets: tuple[str, ...] = ("utf-8",)

    @property
    def charset(self) -> str:
        return self.charsets[0]


_EITHER = ("utf-8", "gbk")
"""Documents of the family allow both on this path: strict UTF-8 first, because GBK is almost never valid UTF-8."""

MIAODI_PATH = "/20150822/industrysms/sendsms"

ENDPOINTS = {
    "/sms.aspx": Endpoint(Task.SMS, charsets=_EITHER),
    "/smsgbk.aspx": Endpoint(Task.SMS, charsets=("gbk",)),
    "/v2sms.aspx": Endpoint(Task.SMS, Profile.V2),
    "/v2smsgbk.aspx": Endpoint(Task.SMS, Profile.V2, ("gbk",)),
    "/smsjson.aspx": Endpoint(Task.SMS, Profile.HUAXIN),
    MIAODI_PATH: Endpoint(Task.SMS, Profile.MIAODI),
    "/statusapi.aspx": Endpoint(Task.REPORTS),
    "/v2statusapi.aspx": Endpoint(Task.REPORTS, Profile.V2),
    "/statusjsonapi.aspx": Endpoint(Task.REPORTS, Profile.HUAXIN),
    "/callapi.aspx": Endpoint(Task.REPLIES),
    "/v2callapi.aspx": Endpoint(Task.REPLIES, Profile.V2),
    "/calljsonapi.aspx": Endpoint(Task.REPLIES, Profile.HUAXIN),
}
"""By lower-case path."""
