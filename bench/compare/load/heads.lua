-- A script for wrk: request 10,000 files, some far more often than others, with the heads of many different browsers. No
-- head occurs twice: a pool of heads is built before the clock starts, and the cookie of each request gets a new number.
-- Arguments after "--": prefix, number of files, number of heads in the pool.

local directory = string.match(debug.getinfo(1, "S").source, "^@(.*/)") or ""
dofile(directory .. "plain.lua")

local pool, size, sent = {}, 0, 0

local systems = { "X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7" }
local languages = { "en-US,en;q=0.9", "de-DE,de;q=0.8,en;q=0.5", "fr,fr-FR;q=0.8,en-US;q=0.5,en;q=0.3", "pt-BR,pt;q=0.9" }

local function skewed(files) -- nearly Zipf's law: the hundredth file is requested a hundredth as often as the first
  return math.floor(math.exp(math.random() * math.log(files + 1))) - 1
end

local function head(prefix, files)
  local version = math.random(90, 140)
  local name = string.format("%s/many/%05d.html", prefix, skewed(files))
  return string.format(
    "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n" ..
    "User-Agent: Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.%d.%d Safari/537.36\r\n" ..
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" ..
    "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n" ..
    "Referer: http://127.0.0.1:%d/many/%05d.html\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: %s\r\n" ..
    "Cookie: theme=%s; session=%08x%08x; seen=",
    name, wrk.port, systems[math.random(#systems)], version, math.random(1000, 6000), math.random(0, 200),
    wrk.port, skewed(files), languages[math.random(#languages)], math.random(2) == 1 and "dark" or "light",
    math.random(0, 2 ^ 31 - 1), math.random(0, 2 ^ 31 - 1))
end

function init(args)
  math.randomseed(1945)
  size = tonumber(args[3])
  for i = 1, size do
    pool[i] = head(args[1], tonumber(args[2]))
  end
end

function request()
  sent = sent + 1
  return pool[sent % size + 1] .. sent .. "\r\n\r\n"
end
