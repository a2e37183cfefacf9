-- KEYS: the counters, one more than once where several charges were taken from it. ARGV after what both
-- have: the most that can be used, then for each key: window, the time of the reservation, what is to be
-- taken, what is to be given back.

local now, grace, parts, most = time(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if late(now, ARGV[2]) then return {-now} end

local function more(c, n)
  n = math.min(n, most - math.min(c.used, most))
  if n == 0 then return end
  if moving(c) then return record(c, now, n, parts) end
  if c.used == 0 then c.opened, c.last = now, now end
  c.used = c.used + n
end

local function less(c, at, n)
  if not moving(c) then
    if at >= c.opened then c.used = c.used - math.min(c.used, n) end
    return
  end
  if at <= now - c.window then return end
  local width = math.ceil(c.window / parts)
  local found = redis.call('ZRANGEBYSCORE', c.key, digits(at), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  if #found == 0 or math.floor(tonumber(found[2]) / width) ~= math.floor(at / width) then return end
  local held = cost(found[1])
  n = math.min(n, held)
  redis.call('ZREM', c.key, found[1])
  if held > n then put(c, tonumber(found[2]), held - n) end
  c.used = c.used - n
end

for i, key in ipairs(KEYS) do
  local a = 5 + (i - 1) * 4
  local c = load(key, tonumber(ARGV[a + 1]))
  now = math.max(now, c.last)
  advance(c, now)
  local at, take, back = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  local used = c.used
  if take > 0 then more(c, take) end
  if back > 0 and c.used > 0 then less(c, at, back) end
  if c.used ~= used then keep(c, now, grace) end
end
return {now}
