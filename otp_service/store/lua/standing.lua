-- How one channel stands.   KEYS: channel
return {'', int(clock()), redis.call('HMGET', KEYS[1], unpack(STANDING))}
