-- Gives a seat back, and the place of the agent where it is that connection's. One that is not held is nothing to say of.
-- Its note stands until then, whoever got the seat meanwhile: its node could be lost before it tells of it.
-- KEYS: the seats of the user, the notes of the node. ARGV: the user, the connection, what keys begin with.
redis.call('HDEL', KEYS[2], ARGV[2])
local seat = redis.call('HGET', KEYS[1], ARGV[2])
if not seat then return 0 end
local node, agent = string.match(seat, '^%d+\t([^\t]*)\t(.*)$')
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('SREM', ARGV[3] .. 'held:{node:' .. node .. '}', ARGV[1] .. '\t' .. ARGV[2] .. '\t' .. agent)
if agent ~= '' then
  local key = ARGV[3] .. 'agent:{agent:' .. agent .. '}'
  local holder = redis.call('GET', key)
  if holder and string.find(holder, '\t' .. ARGV[2] .. '\t', 1, true) then redis.call('DEL', key) end
end
return 1
