-- What a channel's account has left.   KEYS: channel   ARGV: amount, below its bound ('1') or not
redis.call('HSET', KEYS[1], 'balance', ARGV[1], 'balance_at', int(clock()), 'balance_low', ARGV[2])
return 1
