-- The sandbox that scripts live in, and the shell around each run. The host hands in its functions;
-- back go the entry points. Library tables and the globals are shown to scripts through empty
-- proxies: reading falls through to the table behind, writing is refused. A plain Lua has no
-- read-only tables, and one script must not change what the next one sees.
--
-- The host's errors travel as userdata; wherever a script could see one, it is made a table or a
-- text again. What scripts call and what may fail is the host's, not Lua's: a Lua function in tail
-- position would take the script's own frame, and with it the line that the error is reported for.
local host = ...
local G = _G
local error, pcall, xpcall, type, tostring, select = error, pcall, xpcall, type, tostring, select
local next, pairs, rawget, rawset = next, pairs, rawget, rawset
local getmetatable, setmetatable, byte, concat = getmetatable, setmetatable, string.byte, table.concat
local loadstring = loadstring

local READ_ONLY = "Attempt to modify a readonly table"
local behind = setmetatable({}, { __mode = "k" })

local function refuse()
  error(READ_ONLY, 2)
end

local function protect(t)
  local proxy = {}
  behind[proxy] = t
  return setmetatable(proxy, { __index = t, __newindex = refuse })
end

local function plain(e)
  if type(e) == "userdata" then return host.plain(e) end
  return e
end

local function got(count, value)
  if count == 0 then return "no value" end
  return type(value)
end

-- What replaces the basic library where it would see through a proxy.

local function outcome(ok, ...)
  if ok then return true, ... end
  local e = plain((...))
  if type(e) == "table" then
    local text = e.err
    if type(text) == "string" or type(text) == "number" then e = text end
  end
  return false, e
end

function G.pcall(...)
  return outcome(pcall(...))
end

function G.xpcall(f, h)
  return xpcall(f, function(e) return h(plain(e)) end)
end

local resume = G.coroutine.resume
local function resumed(ok, ...)
  if ok then return true, ... end
  return false, plain((...))
end

function G.coroutine.resume(...)
  return resumed(resume(...))
end

function G.getmetatable(...)
  local t = ...
  if select("#", ...) == 0 then error("bad argument #1 to 'getmetatable' (value expected)", 2) end
  local hidden = behind[t]
  if type(t) == "string" then hidden = t end
  local meta = getmetatable(hidden or t)
  if hidden and type(meta) == "table" then return protect(meta) end
  return meta
end

function G.setmetatable(...)
  local t, meta = ...
  if type(t) ~= "table" then
    error("bad argument #1 to 'setmetatable' (table expected, got " .. got(select("#", ...), t) .. ")", 2)
  end
  if behind[t] then error(READ_ONLY, 0) end
  if select("#", ...) < 2 or (meta ~= nil and type(meta) ~= "table") then
    error("bad argument #2 to 'setmetatable' (nil or table expected)", 2)
  end
  local old = getmetatable(t)
  if type(old) ~= "table" and old ~= nil or old and rawget(old, "__metatable") ~= nil then
    error("cannot change a protected metatable", 2)
  end
  return setmetatable(t, meta)
end

function G.rawset(t, ...)
  if behind[t] then error(READ_ONLY, 0) end
  return rawset(t, ...)
end

function G.rawget(t, key)
  return rawget(behind[t] or t, key)
end

function G.next(t, key)
  return next(behind[t] or t, key)
end

function G.pairs(...)
  local t = ...
  local hidden = behind[t]
  if hidden then return function(_, key) return next(hidden, key) end, t, nil end
  if type(t) ~= "table" then
    error("bad argument #1 to 'pairs' (table expected, got " .. got(select("#", ...), t) .. ")", 2)
  end
  return next, t, nil
end

local function is_binary(text)
  return type(text) == "string" and byte(text, 1) == 27
end

function G.loadstring(text, ...)
  if is_binary(text) then
    return nil, "[string \"?\"]:1: unexpected symbol near 'char(27)'"
  end
  return loadstring(text, ...)
end

function G.load(f, name)
  local parts = {}
  while true do
    local part = f()
    if part == nil or part == "" then break end
    if type(part) ~= "string" then return nil, "reader function must return a string" end
    parts[#parts + 1] = part
  end
  return G.loadstring(concat(parts), name or "=(load)")
end

for _, name in pairs({ "insert", "remove", "sort" }) do
  local native = table[name]
  table[name] = function(t, ...)
    if behind[t] then error(READ_ONLY, 0) end
    return native(t, ...)
  end
end

-- The libraries.

for name, functions in pairs(host.libraries) do
  local library = G[name] or {}
  for key, value in pairs(functions) do library[key] = value end
  G[name] = library
end

-- The redis table: of scripts and functions when they run, and of libraries while they load.

local redis = host.redis
local register

-- Nobody debugs; nothing stops.
function redis.breakpoint() return false end
function redis.debug() end
function redis.replicate_commands() return true end

local function failure(text)
  return { err = "ERR " .. text }
end

-- redis.register_function, while a library loads.

local known = { function_name = "string", callback = "function", flags = "table", description = "string" }
local wrong_type = {
  function_name = "function_name argument given to redis.register_function must be a string",
  callback = "callback argument given to redis.register_function must be a function",
  flags = "flags argument to redis.register_function must be a table representing function flags",
  description = "description argument given to redis.register_function must be a string",
}

local function named_arguments(t)
  if type(t) ~= "table" then
    error(failure("calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments)."), 0)
  end
  for key, value in pairs(t) do
    if type(key) ~= "string" then
      error(failure("named argument key given to redis.register_function is not a string"), 0)
    end
    if not known[key] then
      error(failure("unknown argument given to redis.register_function"), 0)
    end
    if type(value) == "number" and known[key] == "string" then value = tostring(value) end
    if type(value) ~= known[key] then error(failure(wrong_type[key]), 0) end
  end
  if not t.function_name then
    error(failure("redis.register_function must get a function name argument"), 0)
  end
  if not t.callback then
    error(failure("redis.register_function must get a callback argument"), 0)
  end
  return t.function_name, t.callback, t.flags, t.description
end

local function register_function(...)
  if not register then
    error(failure("redis.register_function can only be called on FUNCTION LOAD command"), 0)
  end
  local count = select("#", ...)
  local name, callback, flags, description
  if count == 1 then
    name, callback, flags, description = named_arguments((...))
  elseif count == 2 then
    name, callback = ...
    if type(name) == "number" then name = tostring(name) end
    if type(name) ~= "string" then
      error(failure("first argument to redis.register_function must be a string"), 0)
    end
    if type(callback) ~= "function" then
      error(failure("second argument to redis.register_function must be a function"), 0)
    end
  else
    error(failure("wrong number of arguments to redis.register_function"), 0)
  end
  local problem = register(name, callback, flags or {}, description)
  if problem then error(failure(problem), 0) end
end

-- The two environments.

local function missing(_, key)
  error("Script attempted to access nonexistent global variable '" .. tostring(key) .. "'", 2)
end

local shared = {}
for _, name in pairs({ "string", "table", "math", "coroutine", "os", "cjson", "cmsgpack", "struct", "bit" }) do
  if G[name] then shared[name] = protect(G[name]) end
end
for _, name in pairs({
  "_VERSION", "assert", "collectgarbage", "error", "gcinfo", "getmetatable", "ipairs", "load",
  "loadstring", "next", "pairs", "pcall", "rawequal", "rawget", "rawset", "select", "setmetatable",
  "tonumber", "tostring", "type", "unpack", "xpcall",
}) do
  shared[name] = G[name]
end

local function seal(globals)
  return setmetatable(globals, { __index = missing })
end

local function environment(api)
  local globals = {}
  for name, value in pairs(shared) do globals[name] = value end
  globals.redis = protect(api)
  local proxy = protect(seal(globals))
  globals._G = proxy
  return proxy, globals
end

local of_scripts, globals = environment(redis)
local of_libraries, library_globals = environment(redis)

-- While a library loads, it sees no more than what registers functions.
local loading
do
  local api = { log = redis.log, register_function = register_function }
  for name, value in pairs(redis) do
    if type(value) ~= "function" and not name:find("^REPL") then api[name] = value end
  end
  loading = seal({ redis = protect(seal(api)) })
end

-- A run.

local function handler(e)
  local source, line = host.where()
  local err, counted
  e = plain(e)
  if type(e) == "table" then
    err, counted = e.err, e.ignore_error_stats_update
    if type(err) ~= "string" then err = "ERR unknown error" end
  else
    err = "ERR " .. tostring(e)
  end
  return { err = err, source = source, line = line, ignore_error_stats_update = counted }
end

local function run_script(f, keys, argv)
  globals.KEYS, globals.ARGV = keys, argv
  return xpcall(f, handler)
end

local function run_function(f, keys, argv)
  return xpcall(function() return (f(keys, argv)) end, handler)
end

local function load_library(f, on_register)
  register = on_register
  local meta = getmetatable(of_libraries)
  meta.__index = loading
  local ok, value = xpcall(f, handler)
  meta.__index = library_globals
  register = nil
  return ok, value
end

return run_script, run_function, load_library, of_scripts, of_libraries
