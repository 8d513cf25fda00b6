-- A node goes on: its lease is renewed, and it hears itself by its own channel. Answers who is here and whose lease is over.
-- It beats when it has put back what it holds in the generation that it has seen. Where it waits for others to have done
-- so, it is told who has.
-- KEYS: nodes, lost, generation, settled. ARGV: the node, how long a lease is (ms), the generation that it has seen, its
-- channel, what it is to hear there, `waits` or nothing.
local node = ARGV[1]
local clock = milliseconds()
if not redis.call('ZSCORE', KEYS[1], node) then return {'lost'} end
local count, id = generation(KEYS[3], tonumber(ARGV[3]), clock)
if not count then return {'replica'} end
redis.call('ZADD', KEYS[1], clock + ARGV[2], node)
if count == tonumber(ARGV[3]) and redis.call('HGET', KEYS[4], node) ~= ARGV[3] then
  redis.call('HSET', KEYS[4], node, ARGV[3])
end
local back = {}
if ARGV[6] == 'waits' then
  local all = redis.call('HGETALL', KEYS[4])
  for at = 1, #all, 2 do
    if tonumber(all[at + 1]) == count then back[#back + 1] = all[at] end
  end
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return {
  'beat', count, string.sub(id, 1, 8), clock,
  redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. clock, '+inf'),
  redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', clock),
  redis.call('ZRANGE', KEYS[2], 0, 15),
  back,
}
