-- Who lives. ARGV: this gateway or '' for a new one, milliseconds after which one that is not heard is gone.
-- Returns: the moment, this gateway's number, then the numbers of all that live. A number is the moment of joining; one
-- that was taken for gone joins anew, since nobody counts what it held any more.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local removed = redis.pcall('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now - ARGV[2] * 1000))
-- Something else is there: nobody of these gateways wrote it.
if type(removed) == 'table' and removed.err then redis.call('DEL', KEYS[1]) end
local me = ARGV[1]
if me == '' or not redis.call('ZSCORE', KEYS[1], me) then
  local joined = now
  while redis.call('ZSCORE', KEYS[1], string.format('%.0f', joined)) do joined = joined + 1 end
  me = string.format('%.0f', joined)
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), me)
redis.call('PEXPIRE', KEYS[1], 86400000)
local answer = { string.format('%.0f', now), me }
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, 999)) do answer[#answer + 1] = id end
return answer
