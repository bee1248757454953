-- Forget a scope's cooldown and how many sends lie behind it; what pends there stays named.   KEYS: scope
local _, _, id = scope_of(redis.call('GET', KEYS[1]))
if id ~= '' then redis.call('SET', KEYS[1], '0 0 ' .. id, 'KEEPTTL') end
return 1
