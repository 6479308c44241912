-- What gateways hold and use of limits. One call is all or nothing. All keys are of one tenant, so in one slot.
--
-- ARGV: 'claim', 'tell', or 'late' for what is told after a time alone; this gateway; the moment up to which `alive` is
--       known; the gateways that live ("1,2"); under what this one's money counts; then of each key: kind, held, used,
--       hold, spend, and three numbers that the kind needs
--         r  a rate: count, microseconds, burst      told late, of what was used no more counts than is left
--         c  places: limit, 0, 0
--         m  money: limit, seconds until the window ends, 0
-- held: by this gateway now, without what this claim asks for. used: since it was last told; of money all in the window.
-- Of each key a hash: u used, t when, h<gateway> held by it, s<name> money spent by one, whether it lives or not.
-- Returns: 0 or the number of the limit that is used up, microseconds to wait, then two numbers of each key.

-- What is no number, or none that can be, is nothing: a key that others wrote to heals by itself.
local function number(text)
  local value = tonumber(text)
  if value and value >= 0 and value < 1e18 then return value end
  return 0
end

local claim, late, me, known = ARGV[1] == 'claim', ARGV[1] == 'late', ARGV[2], number(ARGV[3])
local mine = 's' .. ARGV[5]
local alive = {}
for id in string.gmatch(ARGV[4], '[^,]+') do alive[id] = true end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local short, wait = 0, 0
local limits = {}

for i, key in ipairs(KEYS) do
  local at = 5 + (i - 1) * 8
  local l = {
    kind = ARGV[at + 1], held = tonumber(ARGV[at + 2]), hold = tonumber(ARGV[at + 4]), spend = tonumber(ARGV[at + 5]),
    a = tonumber(ARGV[at + 6]), b = tonumber(ARGV[at + 7]), c = tonumber(ARGV[at + 8]),
    used = 0, since = now, spent = 0, others = 0, dead = {},
  }
  local told = tonumber(ARGV[at + 3])
  local fields = redis.pcall('HGETALL', key)
  if fields.err then
    redis.call('DEL', key)
    fields = {}
  end
  for j = 1, #fields, 2 do
    local field, value = fields[j], number(fields[j + 1])
    if field == 'u' then l.used = value
    elseif field == 't' then l.since = value
    elseif field == mine then l.spent = value
    elseif string.sub(field, 1, 1) == 's' then l.used = l.used + value
    else
      local id = string.sub(field, 2)
      if id == me then
        -- Of several claims sent at once each counts those before it.
        if claim then l.held = value end
      elseif alive[id] or number(id) > known then l.others = l.others + value
      else l.dead[#l.dead + 1] = field end
    end
  end
  if l.kind == 'r' then
    l.used = math.max(0, l.used - math.max(0, now - l.since) * l.a / l.b)
    if late then told = math.max(0, math.min(told, l.c - l.used)) end
  elseif l.kind == 'm' then
    told = math.max(told, l.spent)
    l.spent = told
  end
  l.used = l.used + told
  local taken = l.others + l.held
  if claim and short == 0 then
    if l.kind == 'r' then
      local excess = l.used + taken + 1 - l.c
      -- What is a millionth of a unit short has come back as far as clocks can tell.
      if excess > 0.000001 then
        short, wait = i, math.ceil(math.min(excess, l.used) * l.b / l.a)
        if excess > l.used then wait = math.max(wait, 1000000) end
      end
    elseif l.kind == 'c' then
      if taken + 1 > l.a then short = i end
    elseif l.used >= l.a then short, wait = i, math.max(1, l.b) * 1000000
    elseif l.used + taken >= l.a then short = i end
  end
  limits[i] = l
end

local answer = { short, wait }
local function say(value) answer[#answer + 1] = math.min(value, 9e18) end
for i, key in ipairs(KEYS) do
  local l = limits[i]
  if claim and short == 0 then l.held, l.used = l.held + l.hold, l.used + l.spend end
  if l.kind == 'm' then redis.call('HSET', key, mine, l.spent) else redis.call('HSET', key, 'u', l.used, 't', now) end
  if l.held > 0 then redis.call('HSET', key, 'h' .. me, l.held) else redis.call('HDEL', key, 'h' .. me) end
  if #l.dead > 0 then redis.call('HDEL', key, unpack(l.dead)) end
  local taken = l.others + l.held
  if l.kind == 'r' then
    local back = math.ceil((l.used + taken) * l.b / l.a)
    say(math.max(0, math.floor(l.c - l.used - taken + 0.000001)))
    say(back)
    -- Long enough to come back, and for the longest answer.
    redis.call('PEXPIRE', key, 86400000 + math.min(math.ceil(back / 1000), 31622400000))
  elseif l.kind == 'c' then
    say(taken)
    say(0)
    redis.call('PEXPIRE', key, 86400000)
  else
    say(math.floor(l.used))
    say(math.floor(taken))
    redis.call('PEXPIRE', key, (math.min(math.max(1, l.b), 31622400) + 86400) * 1000)
  end
end
return answer
