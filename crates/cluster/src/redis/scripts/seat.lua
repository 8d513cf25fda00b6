-- Takes a seat, or writes down one that was given while nobody could be asked. Who is counted: all seats of the user that
-- were not given back; those of a node whose lease ended are given back by reap.lua.
-- KEYS: nodes, the seats of the user, what the node holds, generation, the agent (where it is one).
-- ARGV: the node, the user, the connection, the agent or nothing, the limit or -1, `evict` or nothing, since (ms), `take` or
-- `keep`, what keys begin with, what is told to the node of a displaced connection (without the connection), what is to be
-- known of it where its node is lost, or nothing; the generation in which the node knows that all have put back what they hold.
local node, user, connection, agent = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local limit, since, start = tonumber(ARGV[5]), ARGV[7], ARGV[9]
if not redis.call('ZSCORE', KEYS[1], node) then return {'lost'} end
if ARGV[8] == 'take' and redis.call('HGET', KEYS[4], 'count') ~= ARGV[12] then return {'unsettled'} end

local function strike(seat)
  redis.call('HDEL', KEYS[2], seat.connection)
  local held = user .. '\t' .. seat.connection .. '\t' .. seat.agent
  redis.call('SREM', start .. 'held:{node:' .. seat.node .. '}', held)
  if seat.agent ~= '' then
    local key = start .. 'agent:{agent:' .. seat.agent .. '}'
    local holder = redis.call('GET', key)
    if holder and string.find(holder, '\t' .. seat.connection .. '\t', 1, true) then redis.call('DEL', key) end
  end
end

local function seats()
  local all, list = redis.call('HGETALL', KEYS[2]), {}
  for at = 1, #all, 2 do
    local age, where, what = string.match(all[at + 1], '^(%d+)\t([^\t]*)\t(.*)$')
    list[#list + 1] = {connection = all[at], since = tonumber(age), node = where, agent = what}
  end
  table.sort(list, function(a, b)
    if a.since ~= b.since then return a.since < b.since end
    return a.connection < b.connection
  end)
  return list
end

local holder
if agent ~= '' then
  local kept = redis.call('GET', KEYS[5])
  if kept then
    local whose, where, which, age = string.match(kept, '^([^\t]*)\t([^\t]*)\t([^\t]*)\t(%d+)$')
    if which ~= connection then holder = {user = whose, node = where, connection = which, since = tonumber(age)} end
  end
end

local evicted, replaced
local owns = agent ~= ''
local displaced = ''
if ARGV[8] == 'take' then
  if holder and holder.user ~= user then return {'agent', holder.node, holder.connection} end
  if limit >= 0 then
    local counted, others = {}, seats()
    for _, seat in ipairs(others) do
      if seat.connection ~= connection and not (holder and holder.connection == seat.connection) then counted[#counted + 1] = seat end
    end
    if #counted >= limit then
      if ARGV[6] == 'evict' and #counted > 0 then
        evicted = counted[1]
      else
        local full = {'full'}
        for _, seat in ipairs(counted) do
          full[#full + 1] = seat.node
          full[#full + 1] = seat.connection
        end
        return full
      end
    end
  end
  if holder then
    replaced = holder
    strike({connection = holder.connection, node = holder.node, agent = agent})
  end
  if evicted then strike(evicted) end
elseif holder and holder.since > tonumber(since) then
  owns, displaced = false, connection
elseif holder then
  redis.call('PUBLISH', start .. 'at:{node:' .. holder.node .. '}', ARGV[10] .. holder.connection)
end

redis.call('HSET', KEYS[2], connection, since .. '\t' .. node .. '\t' .. agent)
redis.call('SADD', KEYS[3], user .. '\t' .. connection .. '\t' .. agent)
if ARGV[11] ~= '' then
  redis.call('HSET', start .. 'notes:{node:' .. node .. '}', connection, ARGV[11])
  -- It was taken for lost, and is not.
  if ARGV[8] == 'keep' then redis.call('DEL', start .. 'gone:{' .. connection .. '}') end
end
if owns then redis.call('SET', KEYS[5], user .. '\t' .. node .. '\t' .. connection .. '\t' .. since) end
return {
  'taken', evicted and evicted.node or '', evicted and evicted.connection or '',
  replaced and replaced.node or '', replaced and replaced.connection or '', displaced,
}
