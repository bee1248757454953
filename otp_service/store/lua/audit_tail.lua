-- The moment now, and the newest entry of the audit trail.   KEYS: audit
return {int(clock()), redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)}
