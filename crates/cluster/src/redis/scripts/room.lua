-- Put before post.lua and recall.lua: where a room stands, and what it keeps. A room is of the generation in which it
-- was begun; in a later one it begins anew, since nobody knows what was lost. An entry of the stream has the offset as
-- its id, `w` is when it was written, `x` the text.
local KEEP = 86400000

local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)

local function standing(meta, texts, generation, mark)
  local kept = redis.call('HMGET', meta, 'generation', 'epoch', 'top', 'bytes')
  if kept[1] and tonumber(kept[1]) >= generation then return kept[2], tonumber(kept[3]), tonumber(kept[4]) end
  local epoch = mark .. '-' .. generation .. '-' .. time[1] .. '.' .. time[2]
  redis.call('UNLINK', meta, texts)
  redis.call('HSET', meta, 'generation', generation, 'epoch', epoch, 'top', 0, 'bytes', 0)
  redis.call('PEXPIRE', meta, KEEP)
  return epoch, 0, 0
end

-- Lets go of the oldest until all bounds are kept; answers how many bytes are left.
local function trim(texts, bytes, most, age, room)
  local length = redis.call('XLEN', texts)
  if length == 0 then return 0 end
  while length > 0 do
    local oldest = redis.call('XRANGE', texts, '-', '+', 'COUNT', 1)[1]
    if length <= most and bytes <= room and clock < oldest[2][2] + age then return bytes end
    bytes = bytes - string.len(oldest[2][4])
    redis.call('XDEL', texts, oldest[1])
    length = length - 1
  end
  redis.call('UNLINK', texts)
  return 0
end
