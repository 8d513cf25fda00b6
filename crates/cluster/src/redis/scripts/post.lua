-- Gives a text its place in each room that remembers it, and tells it once on each channel. Not after its time: then
-- its poster was told that it is not said any more.
-- KEYS: for each remembered room where it stands and its texts. ARGV: the latest time (ms), the generation, its mark, how what
-- is told begins, the head, the text, how many channels, these; for each room its name, the most messages, age (ms), bytes.
if tonumber(ARGV[1]) < clock then return {'late'} end
local generation, text, channels = tonumber(ARGV[2]), ARGV[6], tonumber(ARGV[7])
local places, at = {}, 8 + channels
for nth = 1, #KEYS / 2 do
  local meta, texts = KEYS[2 * nth - 1], KEYS[2 * nth]
  local most, age, room = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local epoch, top, bytes = standing(meta, texts, generation, ARGV[3])
  top = top + 1
  if string.len(text) > room then
    redis.call('UNLINK', texts)
    bytes = 0
  else
    if redis.call('EXISTS', texts) == 0 then bytes = 0 end
    redis.call('XADD', texts, string.format('%.0f-0', top), 'w', string.format('%.0f', clock), 'x', text)
    bytes = trim(texts, bytes + string.len(text), most, age, room)
    redis.call('PEXPIRE', texts, math.max(age, 1))
  end
  redis.call('HSET', meta, 'top', string.format('%.0f', top), 'bytes', bytes)
  redis.call('PEXPIRE', meta, KEEP)
  places[nth] = '\t' .. ARGV[at] .. '\t' .. epoch .. '\t' .. string.format('%.0f', top)
  at = at + 4
end
local told = ARGV[4] .. table.concat(places) .. '\n' .. ARGV[5] .. text
local hearings = 0
for nth = 8, 7 + channels do
  hearings = hearings + redis.call('PUBLISH', ARGV[nth], told)
end
return {'posted', hearings}
