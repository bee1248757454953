-- A gateway's report of one try. The first that says an end counts; the delivery follows if the send is still open.
-- KEYS: record, tries, due, events, outbox, later   ARGV: id, index, delivered ('1') or not, words
-- Returns delivered, undelivered, again (one more channel is tried), late, duplicate, contradiction or orphan; and how
-- many milliseconds after its try it came, where it is the first.
local k = {record = KEYS[1], tries = KEYS[2], due = KEYS[3], events = KEYS[4], outbox = KEYS[5], later = KEYS[6]}
local id, index, delivered, words = unpack(ARGV)
local says = delivered == '1' and 'delivered' or 'undelivered'
go_on_without_memory(k.record)
local kept = redis.call('LINDEX', k.tries, index)
if not kept then return {'orphan'} end
local t = decoded(kept)
if t.report then return {t.report == says and 'duplicate' or 'contradiction'} end
t.report, t.report_words = says, words
redis.call('LSET', k.tries, index, encoded(t))
local now = clock()
local r = read(k)
if status_of(k, id, now) ~= 'pending' then return {'late', int(now - t.at)} end
local again = judge_reports(k, id, now, t)
if again then queue(k, id, r[F.sends], now) end
write_down(k)
return again and {'again'} or {says, int(now - t.at)}
