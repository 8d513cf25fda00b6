-- One more knock, by the generic cell rate algorithm. What is kept is when all knocks are paid for (us).
-- KEYS: whose. ARGV: how long one is paid for by (us), how many may come at once.
local time = redis.call('TIME')
local clock = time[1] * 1000000 + time[2]
local every = tonumber(ARGV[1])
local paid = math.max(tonumber(redis.call('GET', KEYS[1]) or clock), clock) + every
local wait = paid - clock - every * tonumber(ARGV[2])
if wait > 0 then return {'wait', string.format('%.0f', wait)} end
redis.call('SET', KEYS[1], string.format('%.0f', paid), 'PX', string.format('%.0f', math.ceil((paid - clock) / 1000) + 1))
return {'knocked'}
