-- Put before open.lua and beat.lua. The generation counts how often this data may have lost something: it goes up
-- whenever the replication id of the master is another than the one that is written down, which is so after a failover, a
-- restart and a loss of all data. Never below what the asking node has seen.
local function generation(key, seen, clock)
  local told = redis.call('INFO', 'replication')
  if not string.find(told, 'role:master', 1, true) then return nil end
  local id = string.match(told, 'master_replid:(%x+)')
  local kept = redis.call('HMGET', key, 'id', 'count', 'since')
  if kept[1] == id then return tonumber(kept[2]), id, tonumber(kept[3]) end
  local count = math.max(tonumber(kept[2] or 0), seen) + 1
  redis.call('HSET', key, 'id', id, 'count', count, 'since', clock)
  return count, id, clock
end

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
