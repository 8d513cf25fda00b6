-- A node goes on: its lease is renewed, and it hears itself by its own channel. Answers who is here and whose lease is over.
-- KEYS: nodes, lost, generation. ARGV: the node, how long a lease is (ms), the generation that it has seen, its channel,
-- what it is to hear there.
local clock = milliseconds()
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {'lost'} end
local count, id = generation(KEYS[3], tonumber(ARGV[3]), clock)
if not count then return {'replica'} end
redis.call('ZADD', KEYS[1], clock + ARGV[2], ARGV[1])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return {
  'beat', count, string.sub(id, 1, 8), clock,
  redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. clock, '+inf'),
  redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', clock),
  redis.call('ZRANGE', KEYS[2], 0, 15),
}
