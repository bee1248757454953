-- The first try of a send that is only played has come to its outcome; the send goes on.
-- KEYS: record, who waits for the outcome   ARGV: send
go_on_without_memory(KEYS[1])
tell_waiting({record = KEYS[1]}, KEYS[2], ARGV[1])
return 1
