-- Gives back some of what hung on a node: one whose lease is over, or one that takes its leave. Whoever comes first tells
-- all that it is lost; the rest of the work is shared, and goes on where somebody left off.
-- KEYS: nodes, lost, what the node held, what the node was in, its notes, settled. ARGV: the node, how many at most, how long a lease is (ms),
-- the channel of all, what is told there; or nothing where it takes its leave; what keys begin with, the name of whoever
-- asks. The notes of connections are handed over to one alone, who is written down for a day.
local node, most, start = ARGV[1], tonumber(ARGV[2]), ARGV[6]
local time = redis.call('TIME')
local clock = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = redis.call('ZSCORE', KEYS[1], node)
if ends then
  if ARGV[5] ~= '' and tonumber(ends) > clock then return {'done', 0, {}, {}, {}} end
  redis.call('ZREM', KEYS[1], node)
  redis.call('HDEL', KEYS[6], node)
  redis.call('ZADD', KEYS[2], ends - ARGV[3], node)
  if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
end
local seen = redis.call('ZSCORE', KEYS[2], node)
if not seen then return {'done', 0, {}, {}, {}} end

local agents, members, notes = {}, {}, {}
for _, held in ipairs(redis.call('SPOP', KEYS[3], most)) do
  local user, connection, agent = string.match(held, '^([^\t]*)\t([^\t]*)\t(.*)$')
  redis.call('HDEL', start .. 'seats:{user:' .. user .. '}', connection)
  if agent ~= '' then
    local key = start .. 'agent:{agent:' .. agent .. '}'
    local holder = redis.call('GET', key)
    if holder and string.find(holder, '\t' .. connection .. '\t', 1, true) then
      redis.call('DEL', key)
      agents[#agents + 1] = agent
    end
  end
end
local places = redis.call('HRANDFIELD', KEYS[4], most, 'WITHVALUES')
for at = 1, #places, 2 do
  local room, member = string.match(places[at], '^([^\t]*)\t(.*)$')
  local key = start .. 'members:{room:' .. room .. '}'
  redis.call('HDEL', KEYS[4], places[at])
  if redis.call('HINCRBY', key, member, -tonumber(places[at + 1])) <= 0 then
    redis.call('HDEL', key, member)
    members[#members + 1] = room
    members[#members + 1] = member
  end
end
if ARGV[5] == '' then redis.call('DEL', KEYS[5]) end
local noted = redis.call('HRANDFIELD', KEYS[5], most, 'WITHVALUES')
for at = 1, #noted, 2 do
  redis.call('HDEL', KEYS[5], noted[at])
  if redis.call('SET', start .. 'gone:{' .. noted[at] .. '}', ARGV[7], 'NX', 'PX', 86400000) then
    notes[#notes + 1] = noted[at + 1]
  end
end
if redis.call('EXISTS', KEYS[3], KEYS[4], KEYS[5]) > 0 then return {'more', seen, agents, members, notes} end
redis.call('ZREM', KEYS[2], node)
return {'done', seen, agents, members, notes}
