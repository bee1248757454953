-- The first try of a send that is only played has come to its outcome; the send goes on.
-- KEYS: record, who waits for the outcome   ARGV: send
local k = {record = KEYS[1]}
go_on_without_memory(k.record)
read(k)
tell_waiting(k, KEYS[2], ARGV[1])
write_down(k)
return 1
