-- Adds what a node spent, key by key; answers what was spent before by all.
-- KEYS: of what. ARGV: how long a sum is kept (ms), how much of each.
local before = {}
for nth = 1, #KEYS do
  local amount = tonumber(ARGV[nth + 1])
  before[nth] = redis.call('INCRBY', KEYS[nth], ARGV[nth + 1]) - amount
  redis.call('PEXPIRE', KEYS[nth], ARGV[1])
end
return before
