-- What gateways hold and use of limits. One call is all or nothing. All keys are of one tenant, so in one slot.
--
-- ARGV: 'claim' or 'tell', this gateway, the moment up to which `alive` is known, the gateways that live ("1,2,"),
--       then of each key: kind, held, used, hold, spend, and three numbers that the kind needs
--         r  a rate: count, microseconds, burst      used is capped at the burst where told late (held by '+')
--         c  places: limit, 0, 0
--         m  money: limit, seconds until the window ends, what is known to be spent
-- held: by this gateway now, with what this claim asks for. used: since it was last told.
-- Of each key a hash: u used, t when, h<gateway> held by it.
-- Returns: 0 or the number of the limit that is used up, microseconds to wait, then two numbers of each key.

local claim, me, known = ARGV[1] == 'claim', ARGV[2], tonumber(ARGV[3])
local alive = {}
for id in string.gmatch(ARGV[4], '[^,]+') do alive[id] = true end
local late = ARGV[5] == 'late'
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local short, wait = 0, 0
local limits = {}

for i, key in ipairs(KEYS) do
  local at = 5 + (i - 1) * 8
  local l = {
    kind = ARGV[at + 1], held = tonumber(ARGV[at + 2]), hold = tonumber(ARGV[at + 4]), spend = tonumber(ARGV[at + 5]),
    a = tonumber(ARGV[at + 6]), b = tonumber(ARGV[at + 7]), c = tonumber(ARGV[at + 8]),
    used = 0, since = now, others = 0, dead = {},
  }
  local told = tonumber(ARGV[at + 3])
  local fields = redis.call('HGETALL', key)
  for j = 1, #fields, 2 do
    local field, value = fields[j], tonumber(fields[j + 1])
    if field == 'u' then l.used = value
    elseif field == 't' then l.since = value
    else
      local id = string.sub(field, 2)
      if id == me then -- counted as l.held
      elseif alive[id] or tonumber(id) > known then l.others = l.others + value
      else l.dead[#l.dead + 1] = field end
    end
  end
  if l.kind == 'r' then
    l.used = math.max(0, l.used - math.max(0, now - l.since) * l.a / l.b)
    if late then told = math.max(0, math.min(told, l.c - l.used)) end
  end
  l.used = l.used + told
  if l.kind == 'm' then l.used = math.max(l.used, l.c) end
  local before = l.others + l.held - l.hold
  if claim and short == 0 then
    if l.kind == 'r' then
      local excess = l.used + before + 1 - l.c
      -- What is a millionth of a unit short has come back as far as clocks can tell.
      if excess > 0.000001 then
        short, wait = i, math.ceil(math.min(excess, l.used) * l.b / l.a)
        if excess > l.used then wait = math.max(wait, 1000000) end
      end
    elseif l.kind == 'c' then
      if before + 1 > l.a then short = i end
    elseif l.used >= l.a then short, wait = i, math.max(1, l.b) * 1000000
    elseif l.used + before >= l.a then short = i end
  end
  limits[i] = l
end

local answer = { short, wait }
for i, key in ipairs(KEYS) do
  local l = limits[i]
  local held = l.held
  if claim and short > 0 then held = held - l.hold else l.used = l.used + l.spend end
  redis.call('HSET', key, 'u', l.used, 't', now)
  if held > 0 then redis.call('HSET', key, 'h' .. me, held) else redis.call('HDEL', key, 'h' .. me) end
  if #l.dead > 0 then redis.call('HDEL', key, unpack(l.dead)) end
  local taken = l.used + l.others + held
  if l.kind == 'r' then
    answer[#answer + 1] = math.max(0, math.floor(l.c - taken + 0.000001))
    answer[#answer + 1] = math.ceil(taken * l.b / l.a)
    -- Long enough to come back, and for the longest answer.
    redis.call('PEXPIRE', key, 86400000 + math.min(math.ceil(taken * l.b / l.a / 1000), 31622400000))
  elseif l.kind == 'c' then
    answer[#answer + 1] = l.others + held
    answer[#answer + 1] = 0
    redis.call('PEXPIRE', key, 86400000)
  else
    answer[#answer + 1] = math.floor(l.used)
    answer[#answer + 1] = math.floor(l.others + held)
    redis.call('PEXPIRE', key, (math.max(1, l.b) + 86400) * 1000)
  end
end
return answer
