-- Whether a client's verifications fail as they do when somebody tries codes on number after number: a cumulative sum
-- (Page 1954) of log-likelihood ratios, 20 % against 36 % that begin with a wrong code, 80 % against 64 % approved.
-- Returns the milliseconds for which its checks are braked.
-- KEYS: brake   ARGV: failed, approved since the last call
local FAILED, APPROVED = 0.588, 0.223
local LIMIT, AFTER = 150, 0.8
local FIRST, LONGEST = 60000, 900000
local now = clock()
local r = redis.call('HMGET', KEYS[1], 'score', 'until', 'times')
local score = math.max((tonumber(r[1]) or 0) - ARGV[2] * APPROVED, 0) + ARGV[1] * FAILED
local ends, times = tonumber(r[2]) or 0, tonumber(r[3]) or 0
if score >= LIMIT and ends <= now then
  ends = now + math.min(FIRST * 2 ^ times, LONGEST)
  score, times = LIMIT * AFTER, times + 1
end
redis.call('HSET', KEYS[1], 'score', string.format('%.3f', math.min(score, LIMIT)), 'until', int(ends), 'times', int(times))
redis.call('PEXPIRE', KEYS[1], 86400000)
return int(math.max(ends - now, 0))
