-- wrk: requests for random servers, each with its own token and, when there is an ETag file, what it holds.
-- Arguments: the mode ("bare", "django", "same", "200" or "304") and a file of lines "name token etag".
local names, tokens, etags = {}, {}, {}
local mode
local seed = 0

function setup(thread)
  seed = seed + 1
  thread:set("seed", seed)
end

function init(args)
  mode = args[1]
  math.randomseed(seed)
  for line in io.lines(args[2]) do
    local name, token, etag = line:match("(%S+) (%S+) (%S+)")
    names[#names + 1] = name
    tokens[#tokens + 1] = token
    etags[#etags + 1] = etag
  end
end

function request()
  local n = math.random(#names)
  local headers = {
    ["Authorization"] = "Bearer " .. tokens[n],
    ["Gestion-Keys-Holds"] = etags[n],
    ["Gestion-Keys-Nonce"] = string.format("%032d", n),
    ["User-Agent"] = "gestion-keys/1",
    ["Accept"] = "*/*",
  }
  if mode == "304" then headers["If-None-Match"] = '"' .. etags[n] .. '"' end
  local path = "/keymanager/servers/getKeys/" .. names[n] .. "/"
  if mode == "bare" or mode == "django" then path = "/" .. mode .. "/" end
  if mode == "same" then path = "/same/?" .. names[n] end
  return wrk.format("GET", path, headers)
end
