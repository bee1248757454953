-- With `redis.fence`, in the place of `FENCED = false` in common.lua. Managed clusters may refuse INFO in a script, so it
-- stands in none otherwise.
local FENCED = true

-- Names the line of servers: another one after a failover, a restart or a restore, each of which may have lost the last
-- that was written, an approval among it.
local function lineage()
  local section = 'replication'
  return string.match(redis.call('INFO', section), 'master_replid:(%x+)')
end

local function is_fenced_off(r)
  return r[F.lineage] and r[F.lineage] ~= lineage()
end
