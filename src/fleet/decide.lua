-- Takes a decision on a call that waits, once. KEYS: calls that wait, decisions, the mark of those that are over.
-- ARGV: the call's id, the decision. Returns: 0 unknown, 1 over, or 2 and what is posted of the call.
if redis.call('EXISTS', KEYS[3]) == 1 then return { 1 } end
local posted = redis.call('HGET', KEYS[1], ARGV[1])
if not posted then return { 0 } end
-- Behind the seal: milliseconds since 1970.
local expires = tonumber(string.match(string.sub(posted, 65), '^(%d+) '))
local time = redis.call('TIME')
if not expires or expires <= time[1] * 1000 + time[2] / 1000 then return { 1 } end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then return { 1 } end
redis.call('EXPIRE', KEYS[2], 86400)
return { 2, posted }
