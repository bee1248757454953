-- Forget verifications of one recipient, and keys beside them: those that pend end `canceled`, so nothing more is sent.
-- KEYS: due, events, outbox, later, then each client's look-up list and then scopes, then keys that go as they are, then
--       of each verification: record, tries, who waits, scope (the record again where it is not known)
-- ARGV: group, number of lists, of lists and scopes, of keys that go, '1' where cooldowns go too, what each list holds
--       ("id id") and which id each scope names, then ids
-- Returns how many keys went, records, pending ones among them, scopes; then the tries. `moved` when a list or a scope
-- names another verification than it did.
local k = {due = KEYS[1], events = KEYS[2]}
local outbox, later = KEYS[3], KEYS[4]
local group, lists, named, goes, all = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local now = clock()
for n = 1, named do
  local ids
  if n <= lists then ids = table.concat(redis.call('LRANGE', KEYS[4 + n], 0, -1), ' ')
  else ids = select(3, scope_of(redis.call('GET', KEYS[4 + n]))) end
  if ids ~= ARGV[5 + n] then return {'moved'} end
end

local gone, records, canceled, scopes, tries = 0, 0, 0, 0, {}
for n = 5 + named, 4 + named + goes do gone = gone + redis.call('DEL', KEYS[n]) end

local first = 5 + named + goes
for n = 6 + named, #ARGV do
  local id, at = ARGV[n], first + 4 * (n - 6 - named)
  local record, tried, waiting, scope = unpack(KEYS, at, at + 3)
  k.record = record
  local r = read(k)
  local entry = entry_of(r)
  if status_of(k, id, now) == 'pending' then
    finish(k, id, now, 'canceled')
    canceled = canceled + 1
  end
  if entry then
    redis.call('XACK', outbox, group, entry)
    redis.call('XDEL', outbox, entry)
  end
  for send = 1, tonumber(r[F.sends] or 0) do redis.call('ZREM', later, int(send) .. ':' .. id) end
  redis.call('ZREM', k.due, 'e:' .. id, 'a:' .. id)
  for _, encoded in ipairs(redis.call('LRANGE', tried, 0, -1)) do tries[#tries + 1] = encoded end
  if scope ~= record then
    -- The cooldown of the four stays; what it was for does not.
    local cooled_at, nth, latest = scope_of(redis.call('GET', scope))
    if all or latest == id and cooled_at == 0 then
      scopes = scopes + redis.call('DEL', scope)
    elseif latest == id then
      redis.call('SET', scope, cooled_at .. ' ' .. nth .. ' ', 'KEEPTTL')
      scopes = scopes + 1
    end
  end
  records = records + redis.call('DEL', record)
  redis.call('DEL', tried, waiting)
end
return {'done', gone, records, canceled, scopes, tries}
