-- Says with how many connections of a node a member is in a room; the sum over all nodes follows. Or only asks who is there.
-- KEYS: nodes, the members of the room, what the node is in. ARGV: the node, the room, the member, how many now (or -1 to
-- ask), the most that are told.
local turn = 0
if tonumber(ARGV[4]) >= 0 then
  if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {'lost'} end
  local place = ARGV[2] .. '\t' .. ARGV[3]
  local now = tonumber(ARGV[4])
  local was = tonumber(redis.call('HGET', KEYS[3], place) or 0)
  if now ~= was then
    local total = redis.call('HINCRBY', KEYS[2], ARGV[3], now - was)
    if total <= 0 then redis.call('HDEL', KEYS[2], ARGV[3]) end
    if now > 0 then redis.call('HSET', KEYS[3], place, now) else redis.call('HDEL', KEYS[3], place) end
    if (total > 0) ~= (total - now + was > 0) then turn = 1 end
  end
end
local most = tonumber(ARGV[5])
if redis.call('HLEN', KEYS[2]) <= most then return {'members', turn, redis.call('HGETALL', KEYS[2])} end
return {'members', turn, redis.call('HRANDFIELD', KEYS[2], most, 'WITHVALUES')}
