-- The one clock.
return int(clock())
