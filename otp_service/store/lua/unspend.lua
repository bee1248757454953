-- Give one send's price back; nothing when that was done, or it was too long ago.   KEYS: ledger, this send's mark
local hour, price = string.match(redis.call('GET', KEYS[2]) or '', '(%d+) (%d+)')
if not hour then return 0 end
redis.call('HINCRBY', KEYS[1], hour, '-' .. price)
redis.call('DEL', KEYS[2])
return 1
