-- What both scripts know of a counter. Its key ends in its kind: f(ixed), e(lastic) or m(oving).
--   f, e  a string: "opened last used"
--   m     a sorted set: "time:cost" by its time, and "used" by -1-used, which sorts before all times
-- All times are microseconds; below 2^53 a number is exact.
-- ARGV begins with the time or "", the time from which on nothing may be done any more or "", grace in ms, and
-- parts. The answer begins with the time; it is negative, and all, where it was too late.

local function digits(n) return string.format('%.0f', n) end

local function time(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- Whether nobody waits for the script any more: it was held up on its way.
local function late(now, deadline) return deadline ~= '' and now > tonumber(deadline) end

local function cost(member) return tonumber(string.match(member, ':(%d+)$')) end

local function moving(c) return c.kind == 'm' end

local function load(key, window)
  local c = {key = key, kind = string.lower(string.sub(key, -1)), window = window}
  c.used, c.opened, c.last = 0, 0, 0
  if moving(c) then
    local used = redis.call('ZSCORE', key, 'used')
    if used then
      c.used = -1 - tonumber(used)
      c.last = math.max(0, tonumber(redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')[2]))
    end
    return c
  end
  local value = redis.call('GET', key)
  if value then
    local opened, last, used = string.match(value, '^(%d+) (%d+) (%d+)$')
    c.opened, c.last, c.used = tonumber(opened), tonumber(last), tonumber(used)
  end
  return c
end

local function ends(c)
  if c.kind == 'f' then return c.opened + c.window end
  return c.last + c.window
end

local function advance(c, now)
  if not moving(c) then
    if now >= ends(c) then c.used = 0 end
    return
  end
  local over = digits(now - c.window)
  local gone = redis.call('ZRANGEBYSCORE', c.key, 0, over)
  if #gone == 0 then return end
  for _, member in ipairs(gone) do c.used = c.used - cost(member) end
  redis.call('ZREMRANGEBYSCORE', c.key, 0, over)
  redis.call('ZADD', c.key, digits(-1 - c.used), 'used')
end

-- Writes what is used, and until when the counter matters. A counter with nothing in it is none.
local function keep(c, now, grace)
  if c.used == 0 then
    redis.call('DEL', c.key)
    return
  end
  local ttl = digits(math.ceil((ends(c) - now) / 1000) + grace)
  if moving(c) then
    redis.call('ZADD', c.key, digits(-1 - c.used), 'used')
    redis.call('PEXPIRE', c.key, ttl)
    return
  end
  local value = digits(c.opened) .. ' ' .. digits(c.last) .. ' ' .. digits(c.used)
  redis.call('SET', c.key, value, 'PX', ttl)
end

local function put(c, at, n)
  redis.call('ZADD', c.key, digits(at), digits(at) .. ':' .. digits(n))
end

-- Makes one entry of all that are in the same part of the window, as old as the youngest.
local function merge(c, parts)
  local width = math.ceil(c.window / parts)
  local log = redis.call('ZRANGEBYSCORE', c.key, 0, '+inf', 'WITHSCORES')
  redis.call('ZREMRANGEBYSCORE', c.key, 0, '+inf')
  local at, sum
  for i = 1, #log, 2 do
    local t, n = tonumber(log[i + 1]), cost(log[i])
    if at and math.floor(at / width) == math.floor(t / width) then
      sum = sum + n
    else
      if at then put(c, at, sum) end
      sum = n
    end
    at = t
  end
  if at then put(c, at, sum) end
end

-- Puts an entry into a moving window.
local function record(c, now, n, parts)
  if c.last == now then
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', c.key, digits(now), digits(now))) do
      redis.call('ZREM', c.key, member)
      put(c, now, cost(member) + n)
    end
  end
  if redis.call('ZCOUNT', c.key, digits(now), '+inf') == 0 then
    if redis.call('ZCARD', c.key) > 2 * parts then merge(c, parts) end
    put(c, now, n)
  end
  c.last = now
  c.used = c.used + n
end
