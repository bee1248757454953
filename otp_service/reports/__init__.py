"""What gateways say later: `Poller` asks, `Ear` takes ids and numbers out, `Actor` acts; `BalanceWatch` counts."""

from otp_service.reports.actor import Actor
from otp_service.reports.balance_watch import BalanceWatch, Watched
from otp_service.reports.ear import Ear
from otp_service.reports.poller import Poller
from otp_service.reports.rounds import Rounds
from otp_service.reports.wishes import wish

__all__ = ["Actor", "BalanceWatch", "Ear", "Poller", "Rounds", "Watched", "wish"]
