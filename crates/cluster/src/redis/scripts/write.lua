-- Writes a value that all nodes read, or takes it out, where what stands there is what was expected.
-- KEYS: a book as a whole (a hash, and when each entry ends), or one entry of its own (a string).
-- ARGV: the key in the book or nothing, whether a value is written, the value, until (ms) or nothing, `any`, `absent` or
-- `value`, that value, the channel of all, what is told there.
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local key, value, ends = ARGV[1], ARGV[3], ARGV[4]
local is_book = #KEYS == 2
local stands
if is_book then
  for _, over in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', clock, 'LIMIT', 0, 16)) do
    redis.call('HDEL', KEYS[1], over)
    redis.call('ZREM', KEYS[2], over)
  end
  stands = redis.call('HGET', KEYS[1], key)
  if stands then
    local over, rest = string.match(stands, '^(%d*)\t(.*)$')
    if over ~= '' and tonumber(over) <= clock then stands = nil else stands = rest end
  end
else
  stands = redis.call('GET', KEYS[1])
end
if (ARGV[5] == 'absent' and stands) or (ARGV[5] == 'value' and stands ~= ARGV[6]) then return {'stands', stands} end
if ARGV[2] == '0' or (ends ~= '' and tonumber(ends) <= clock) then
  if is_book then
    redis.call('HDEL', KEYS[1], key)
    redis.call('ZREM', KEYS[2], key)
  else
    redis.call('DEL', KEYS[1])
  end
elseif is_book then
  redis.call('HSET', KEYS[1], key, ends .. '\t' .. value)
  if ends == '' then redis.call('ZREM', KEYS[2], key) else redis.call('ZADD', KEYS[2], ends, key) end
elseif ends == '' then
  redis.call('SET', KEYS[1], value)
else
  redis.call('SET', KEYS[1], value, 'PXAT', ends)
end
if ARGV[8] ~= '' then redis.call('PUBLISH', ARGV[7], ARGV[8]) end
return {'written'}
