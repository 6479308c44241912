-- Who lives. ARGV: this gateway or '' for a new one, milliseconds after which one that is not heard is gone.
-- Returns: the moment, this gateway's number, then the numbers of all that live. A number is the moment of joining.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - ARGV[2] * 1000))
local me = ARGV[1]
if me == '' then
  local joined = now
  while redis.call('ZSCORE', KEYS[1], string.format('%.0f', joined)) do joined = joined + 1 end
  me = string.format('%.0f', joined)
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), me)
redis.call('PEXPIRE', KEYS[1], 86400000)
local answer = { string.format('%.0f', now), me }
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, 999)) do answer[#answer + 1] = id end
return answer
