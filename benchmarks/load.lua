-- For wrk: sends the requests of a file in turn, and looks at every answer.
-- Arguments: a file with one JSON body per line, one with headers, and what every answer must contain.

local bodies, at = {}, 0
local expected
good, wrong, sample = 0, 0, ""
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  for line in io.lines(args[1]) do
    table.insert(bodies, line)
  end
  local headers = {}
  for line in io.lines(args[2]) do
    local name, value = line:match("^(.-): (.*)$")
    headers[name] = value
  end
  expected = args[3]
  for number, body in ipairs(bodies) do
    local own, text = {}, body
    for name, value in pairs(headers) do
      own[name] = value
    end
    local id, rest = body:match("^@(%S*) (.*)$")
    if id then
      text = rest
      if id ~= "" then
        own["Mcp-Name"] = id
      end
    end
    bodies[number] = wrk.format("POST", nil, own, text)
  end
end

function request()
  at = at % #bodies + 1
  return bodies[at]
end

function response(status, headers, body)
  if status == 200 and body:find(expected, 1, true) then
    good = good + 1
  else
    wrong = wrong + 1
    if sample == "" then
      sample = status .. " " .. body:sub(1, 300)
    end
  end
end

function done(summary, latency)
  local good, wrong, sample = 0, 0, ""
  for _, thread in ipairs(threads) do
    good = good + thread:get("good")
    wrong = wrong + thread:get("wrong")
    if sample == "" then
      sample = thread:get("sample")
    end
  end
  local errors = summary.errors
  print(string.format("=%d %d %d %d %d %d", good, wrong, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration, latency:percentile(50), latency:percentile(99)))
  print("~" .. sample:gsub("%s+", " "))
end
