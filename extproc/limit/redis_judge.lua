-- KEYS: the counters. ARGV after what both have: "reserve" or "check", then for each key: window, count,
-- cost, shadow (1 or 0).
-- Returns after the time for each key: fits, used, resetAt, resetTaken, retryAt (see reading in strategy.go).

local now, grace, parts = time(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
if late(now, ARGV[2]) then return {-now} end
local counters, passes = {}, true

for i, key in ipairs(KEYS) do
  local a = 5 + (i - 1) * 4
  local c = load(key, tonumber(ARGV[a + 1]))
  c.count, c.cost, c.shadow = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), ARGV[a + 4] == '1'
  counters[i] = c
  now = math.max(now, c.last)
end

-- When enough has expired for the cost.
local function retry(c)
  if c.fits or c.cost > c.count then return 0 end
  if not moving(c) then return ends(c) end
  local excess, from = c.used + c.cost - c.count, 0
  while true do
    local log = redis.call('ZRANGEBYSCORE', c.key, 0, '+inf', 'WITHSCORES', 'LIMIT', from, 64)
    for i = 1, #log, 2 do
      excess = excess - cost(log[i])
      if excess <= 0 then return tonumber(log[i + 1]) + c.window end
    end
    if #log == 0 then return ends(c) end
    from = from + 64
  end
end

local answer = {now}
for _, c in ipairs(counters) do
  advance(c, now)
  c.fits = c.used + c.cost <= c.count
  passes = passes and (c.fits or c.shadow)
  local reset, taken = 0, now + c.window
  if c.used > 0 then
    reset = ends(c)
    if c.kind == 'f' then taken = reset end
  end
  for _, n in ipairs({c.fits and 1 or 0, c.used, reset, taken, retry(c)}) do
    answer[#answer + 1] = n
  end
end

if ARGV[5] == 'reserve' and passes then
  for _, c in ipairs(counters) do
    if c.fits and c.cost > 0 then
      if moving(c) then
        record(c, now, c.cost, parts)
      else
        if c.used == 0 then c.opened = now end
        c.last = now
        c.used = c.used + c.cost
      end
      keep(c, now, grace)
    end
  end
end
return answer
