-- What a room remembers behind a position, or its latest.
-- KEYS: where the room stands, its texts. ARGV: the generation, its mark, the epoch or nothing, the offset, how many of the
-- latest or -1, the most messages, age (ms), bytes.
local epoch, top, bytes = standing(KEYS[1], KEYS[2], tonumber(ARGV[1]), ARGV[2])
local left = trim(KEYS[2], bytes, tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]))
if left ~= bytes then redis.call('HSET', KEYS[1], 'bytes', left) end
local place = string.format('%.0f', top)
if ARGV[3] ~= '' then
  local missed = top - tonumber(ARGV[4])
  if epoch ~= ARGV[3] or missed < 0 or missed > redis.call('XLEN', KEYS[2]) then return {'gone', epoch, place} end
  if missed == 0 then return {'recalled', epoch, place, {}} end
  return {'recalled', epoch, place, redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', missed)}
end
local latest = tonumber(ARGV[5])
if latest <= 0 then return {'recalled', epoch, place, {}} end
return {'recalled', epoch, place, redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', latest)}
