#include "callback-receiver/redis_scripts.h"

#define PRELUDE                                                                                    \
    "local p, call = KEYS[1], redis.call\n"                                                        \
    "local work, group = p..'work', '" REDIS_GROUP "'\n"

#define CLOCK                                                                                      \
    "local function clock()\n"                                                                     \
    "  local t = call('TIME')\n"                                                                   \
    "  return t[1] * 1000 + math.floor(t[2] / 1000)\n"                                             \
    "end\n"

/* Takes the callback's entry off the stream. */
#define UNQUEUE                                                                                    \
    "local function unqueue(key)\n"                                                                \
    "  local q = call('HGET', key, 'q')\n"                                                         \
    "  if q then call('XACK', work, group, q) call('XDEL', work, q) end\n"                         \
    "  return q\n"                                                                                 \
    "end\n"

/* When something is due: now where an entry waits that nobody has taken. */
#define NEXT_DUE                                                                                   \
    "local function field(list, name)\n"                                                           \
    "  for i = 1, #list, 2 do if list[i] == name then return list[i + 1] end end\n"                \
    "end\n"                                                                                        \
    "local function later(a, b)\n"                                                                 \
    "  local am, as = string.match(a, '(%d+)-(%d+)')\n"                                            \
    "  local bm, bs = string.match(b, '(%d+)-(%d+)')\n"                                            \
    "  am, bm = tonumber(am), tonumber(bm)\n"                                                      \
    "  return am > bm or (am == bm and tonumber(as) > tonumber(bs))\n"                             \
    "end\n"                                                                                        \
    "local function next_due(now)\n"                                                               \
    "  local last = call('XREVRANGE', work, '+', '-', 'COUNT', 1)[1]\n"                            \
    "  if last then\n"                                                                             \
    "    for _, g in ipairs(call('XINFO', 'GROUPS', work)) do\n"                                   \
    "      if field(g, 'name') == group and later(last[1], field(g, 'last-delivered-id'))\n"       \
    "      then return now end\n"                                                                  \
    "    end\n"                                                                                    \
    "  end\n"                                                                                      \
    "  return call('ZRANGE', p..'due', 0, 0, 'WITHSCORES')[2] or '0'\n"                            \
    "end\n"

static const char *const texts[REDIS_SCRIPTS] = {
    [REDIS_CHECK] = PRELUDE
    "local types = { schema='string', work='stream', due='zset', judge='zset', expires='zset',\n"
    "  beat='zset', reported='zset',\n"
    "  grace='string', receivers='zset', leader='string', fence='string', probe='string' }\n"
    "for i = 1, 6 do types['state:'..i] = 'zset' end\n"
    "for name, want in pairs(types) do\n"
    "  local t = call('TYPE', p..name).ok\n"
    "  if t ~= 'none' and t ~= want then return p..name end\n"
    "end\n"
    "redis.pcall('XGROUP', 'CREATE', work, group, '0', 'MKSTREAM')\n" /* it may be there */
    "return ''\n",

    [REDIS_COMMIT] = PRELUDE NEXT_DUE
    "local n, at = tonumber(ARGV[3]), 4\n"
    "if ARGV[1] ~= '' and call('GET', p..'leader') ~= ARGV[1] then return { 2 } end\n"
    "for i = 1, n do\n"
    "  if (call('HGET', ARGV[at], 'v') or '0') ~= ARGV[at + 1] then return { 1 } end\n"
    "  at = at + 2\n"
    "end\n"
    "while ARGV[at] ~= '0' do\n"
    "  local last = at + ARGV[at]\n"
    "  call(ARGV[at + 1], p..ARGV[at + 2], unpack(ARGV, at + 3, last))\n"
    "  at = last + 1\n"
    "end\n"
    "at = at + 1\n"
    "for i = 1, n do\n"
    "  local key, last, id = ARGV[2 + 2 * i], at + ARGV[at], ARGV[at + 1]\n"
    "  if id == '' then call('HSET', key, unpack(ARGV, at + 2, last))\n"
    "  else\n"
    "    call('HSET', key, 'q', call('XADD', work, '*', 'id', id), unpack(ARGV, at + 2, last))\n"
    "  end\n"
    "  at = last + 1\n"
    "end\n"
    "return { 0, ARGV[2] ~= '' and next_due(ARGV[2]) or '0' }\n",

    [REDIS_CLAIM] = PRELUDE CLOCK UNQUEUE NEXT_DUE
    "local me, now, limit = ARGV[1], ARGV[2], tonumber(ARGV[3])\n"
    "call('ZADD', p..'receivers', clock(), me)\n"
    "for _, id in ipairs(call('ZRANGEBYSCORE', p..'due', '-inf', now, 'LIMIT', 0, 100)) do\n"
    "  local key = p..'r:'..id\n"
    "  call('ZREM', p..'due', id)\n"
    "  if call('EXISTS', key) == 1 then\n"
    "    unqueue(key)\n"
    "    call('HSET', key, 'q', call('XADD', work, '*', 'id', id))\n"
    "    call('HINCRBY', key, 'v', 1)\n"
    "  end\n"
    "end\n"
    "local out, due = { '0' }, {}\n"
    "local got = limit > 0 and\n"
    "  call('XREADGROUP', 'GROUP', group, me, 'COUNT', limit, 'STREAMS', work, '>')\n"
    "for _, e in ipairs(got and got[1][2] or {}) do\n"
    "  local id = e[2][2]\n"
    "  if call('HGET', p..'r:'..id, 'q') == e[1] then\n"
    "    due[#due + 1] = ARGV[4]\n"
    "    due[#due + 1] = id\n"
    "    out[#out + 1] = id\n"
    "    out[#out + 1] = e[1]\n"
    "  else\n"
    "    call('XACK', work, group, e[1])\n"
    "    call('XDEL', work, e[1])\n"
    "  end\n"
    "end\n"
    "if #due > 0 then call('ZADD', p..'due', unpack(due))\n"
    "else out[1] = next_due(now) end\n"
    "return out\n",

    [REDIS_LEAD] = PRELUDE CLOCK NEXT_DUE
    "local me, now, mode, lease, dead = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])\n"
    "local t, token, taken, silent, beats = clock(), '', {}, {}, {}\n"
    "call('ZADD', p..'receivers', t, me)\n"
    "local grace = call('GET', p..'grace') or '0'\n"
    "if mode ~= 'judge' then\n"
    "  if tonumber(now) > tonumber(grace) then grace = now call('SET', p..'grace', now) end\n"
    "else\n"
    "  local held = call('GET', p..'leader')\n"
    "  if not held then token = me..':'..call('INCR', p..'fence')\n"
    "  elseif string.sub(held, 1, #me + 1) == me..':' then token = held end\n"
    "  if token ~= '' then call('SET', p..'leader', token, 'PX', lease) end\n"
    "end\n"
    "local function take_over(name, pending)\n"
    "  if pending == 0 then call('XGROUP', 'DELCONSUMER', work, group, name) return end\n"
    "  for _, e in ipairs(call('XPENDING', work, group, '-', '+', ARGV[6], name)) do\n"
    "    local entry = call('XRANGE', work, e[1], e[1])[1]\n"
    "    local id = entry and entry[2][2]\n"
    "    if id and call('HGET', p..'r:'..id, 'q') == e[1] then taken[#taken + 1] = id\n"
    "    else call('XACK', work, group, e[1]) call('XDEL', work, e[1]) end\n"
    "  end\n"
    "end\n"
    "if mode == 'start' or token ~= '' then\n"
    "  call('ZREMRANGEBYSCORE', p..'receivers', '-inf', t - dead)\n"
    "  for _, c in ipairs(call('XINFO', 'CONSUMERS', work, group)) do\n"
    "    local name = field(c, 'name')\n"
    "    if not call('ZSCORE', p..'receivers', name) then take_over(name, field(c, 'pending')) "
    "end\n"
    "  end\n"
    "end\n"
    "if token ~= '' then\n"
    "  silent = call('ZRANGEBYSCORE', p..'judge', '-inf', now, 'LIMIT', 0, ARGV[6])\n"
    "  beats = call('ZRANGEBYSCORE', p..'beat', '-inf', ARGV[7], 'LIMIT', 0, ARGV[6])\n"
    "end\n"
    "return { token, grace, next_due(now), taken, silent, beats }\n",

    [REDIS_PURGE] = PRELUDE
    "local over = call('ZRANGEBYSCORE', p..'expires', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])\n"
    "for _, id in ipairs(over) do\n"
    "  if call('ZSCORE', p..'state:2', id) then call('ZADD', p..'expires', ARGV[3], id)\n"
    "  else\n"
    "    call('DEL', p..'r:'..id)\n"
    "    for _, name in ipairs({ 'expires', 'judge', 'due', 'beat', 'reported' }) do\n"
    "      call('ZREM', p..name, id)\n"
    "    end\n"
    "    for i = 1, 6 do call('ZREM', p..'state:'..i, id) end\n"
    "  end\n"
    "end\n"
    "return #over\n",

    [REDIS_LEAVE] = PRELUDE "call('ZREM', p..'receivers', ARGV[1])\n"
                            "local held = call('GET', p..'leader')\n"
                            "if held and string.sub(held, 1, #ARGV[1] + 1) == ARGV[1]..':' then "
                            "call('DEL', p..'leader') end\n"
                            "return ''\n",
};

const char *redis_script_text(enum redis_script which)
{
    return texts[which];
}
