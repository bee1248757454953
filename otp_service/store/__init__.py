"""Redis: every key name, every script. `connect` gives the client, the `Redis…` classes the ports on it."""

from otp_service.store.cluster import lane_to
from otp_service.store.cluster_trips import trips_to
from otp_service.store.connection import connect, connect_async
from otp_service.store.operations import RedisOperations
from otp_service.store.redis_audit import RedisAudit
from otp_service.store.redis_captchas import RedisSpentTokens
from otp_service.store.redis_events import RedisEventLog
from otp_service.store.redis_guard import RedisGuard
from otp_service.store.redis_hooks import RedisHookQueue
from otp_service.store.redis_outbox import RedisOutbox
from otp_service.store.redis_presence import RedisPresence
from otp_service.store.redis_privacy import RedisPersonalData
from otp_service.store.redis_reports import RedisReportLog, ReportInbox
from otp_service.store.redis_revocations import RedisRevocations
from otp_service.store.redis_standings import RedisStandings
from otp_service.store.redis_store import RedisStore
from otp_service.store.redis_watch import RedisAccounts, RedisLeases
from otp_service.store.scripts import retaining
from otp_service.store.tallies import RedisTallies
from otp_service.store.trips import Trips

__all__ = [
    "RedisAccounts",
    "RedisAudit",
    "RedisEventLog",
    "RedisGuard",
    "RedisHookQueue",
    "RedisLeases",
    "RedisOperations",
    "RedisOutbox",
    "RedisPersonalData",
    "RedisPresence",
    "RedisReportLog",
    "RedisRevocations",
    "RedisSpentTokens",
    "RedisStandings",
    "RedisStore",
    "RedisTallies",
    "ReportInbox",
    "Trips",
    "connect",
    "connect_async",
    "lane_to",
    "retaining",
    "trips_to",
]
