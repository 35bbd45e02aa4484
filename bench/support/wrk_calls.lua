-- What wrk asks of the emulator: `wrk … -s bench/support/wrk_calls.lua URL -- KIND KEY TOKEN
-- TIMESTAMP SUBJECT RUN`. KIND "detail" reads the card SUBJECT, "apply" applies for a card of the
-- cardholder SUBJECT, each with a number of its own. Prints its results as JSON.
-- luacheck: globals wrk init request response done
local kind, subject, run, count = nil, nil, nil, 0

function init(arguments)
  kind, subject, run = arguments[1], arguments[5], arguments[6]
  wrk.headers["Api-Key"], wrk.headers["Access-Token"] = arguments[2], arguments[3]
  wrk.headers["Timestamp"], wrk.headers["Content-Type"] = arguments[4], "application/json"
end

function request()
  if kind == "detail" then
    return wrk.format("GET", "/open-api/v1/card/" .. subject .. "/detail")
  end
  count = count + 1
  return wrk.format("POST", "/open-api/v1/card/apply", nil, string.format(
    '{"package_no":"P-1","card_type":"Virtual","cardholder_no":"%s","card_unique_no":"%s-%d"}',
    subject, run, count))
end

function response(_, _, body)
  if not body:find('^{"code":0,') then
    error("refused: " .. body)
  end
end

function done(summary, latency)
  io.write(string.format('\nresult {"calls":%d,"per_second":%.0f,"median_ms":%.3f,"p99_ms":%.3f}\n',
    summary.requests, summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000,
    latency:percentile(99) / 1000))
end
