-- A node comes, or comes again: its lease begins. Answers where the data stands, and whether the lease still stood.
-- KEYS: nodes, lost, generation. ARGV: the node, how long a lease is (ms), the generation that it has seen.
local clock = milliseconds()
local count, id, since = generation(KEYS[3], tonumber(ARGV[3]), clock)
if not count then return {'replica'} end
local stood = redis.call('ZSCORE', KEYS[1], ARGV[1]) and 1 or 0
redis.call('ZADD', KEYS[1], clock + ARGV[2], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return {'open', count, string.sub(id, 1, 8), clock - since, stood, clock}
