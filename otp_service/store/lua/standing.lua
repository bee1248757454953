-- How one channel stands.   KEYS: channel
return {'', int(clock()), standing(KEYS[1])}
