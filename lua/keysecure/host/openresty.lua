--- The host of an nginx worker: a call waits as ngx_lua waits, and the worker goes on with whatever
--- else there is.
--
-- Calls work in every phase where ngx_lua may wait: rewrite, access and content, timers, and the
-- TLS phases that have cosockets. Elsewhere they raise, with the name of the phase and the way out.
--
-- Under transport "resty" cosockets wait by themselves, and this host adds the deadline. Under
-- transport "curl" somebody must step the engine, since nginx takes no descriptor but its own: the
-- pump, one timer of the worker while something is in flight and none when nothing is. Where nginx
-- grants no timer, or what pumps is ended half-way, one of those who wait pumps in its place.
local core = require "keysecure.core"
local errors = require "keysecure.errors"
local tasks = require "keysecure.host.tasks"

local Openresty = tasks.class()

local openresty = { class = Openresty }

local QUICK, SLOW = 0.001, 0.005 -- seconds between two steps, while things move and when they don't
local AT_ONCE = 16 -- results for a step: whoever gets one goes on before nginx looks elsewhere
local PATIENCE = 250 -- milliseconds without a step, after which one who waits pumps
local DOUBT = 1000 -- milliseconds of waiting for a token, after which its fetch may have died
local SPARE_MAX = 1000

-- Where calls can be made ------------------------------------------------------------------------

-- Phases in which ngx_lua can't wait, by what ngx.get_phase() calls them.
local CANNOT_WAIT = {
  init = "init_by_lua", init_worker = "init_worker_by_lua", set = "set_by_lua",
  header_filter = "header_filter_by_lua", body_filter = "body_filter_by_lua",
  log = "log_by_lua", balancer = "balancer_by_lua",
  ssl_session_store = "ssl_session_store_by_lua", exit_worker = "exit_worker_by_lua",
}

local LATER = "; call from a timer instead: ngx.timer.at(0, function() … end)"
local WAY_OUT = {
  init = "; call from a timer that init_worker_by_lua starts: ngx.timer.at(0, function() … end)",
  exit_worker = ": the worker is on its way out",
}

--- Raises where a call can't wait.
function Openresty:check()
  local phase = ngx.get_phase()
  if CANNOT_WAIT[phase] then
    errors.misuse("a call has to wait, which nginx can't do in " .. CANNOT_WAIT[phase]
      .. (WAY_OUT[phase] or LATER))
  end
  tasks.base.check(self)
end

-- What belongs to one worker. A request may die over any of it, hence the weak keys.
function Openresty:forked()
  self.spare = {} -- semaphores
  self.resting = setmetatable({}, { __mode = "k" }) -- who waits for a moment
  self.limited = setmetatable({}, { __mode = "k" }) -- what `limit` runs
  self.pumping, self.beat = false, 0 -- the pump's last step, monotonic ms
  self.collected = 0 -- monotonic ms
end

--- A host for one client. May be made in init_by_lua.
---@param now fun(): number  monotonic milliseconds
function openresty.new(now)
  if not rawget(_G, "ngx") or not ngx.get_phase then
    errors.misuse 'host "openresty" is for nginx with ngx_lua; this is none'
  end
  local self = tasks.new(Openresty, now)
  self:forked()
  return self
end

-- Semaphores -------------------------------------------------------------------------------------

function Openresty:semaphore()
  return table.remove(self.spare) or assert(require "ngx.semaphore".new())
end

-- One with something left over is no good to others.
function Openresty:put_back(semaphore)
  if semaphore:count() == 0 and #self.spare < SPARE_MAX then
    self.spare[#self.spare + 1] = semaphore
  end
end

-- Waits at most until `deadline` (monotonic ms); nil where nothing was posted by then.
function Openresty:wait_at(semaphore, deadline)
  local left = math.max(math.ceil(deadline - self.now()), 0)
  local posted, err = semaphore:wait(left / 1000)
  if not posted and err ~= "timeout" then
    error("ngx.semaphore: " .. tostring(err), 0)
  end
  return posted
end

-- Waiting for a moment ---------------------------------------------------------------------------

-- nginx ends a request without a word to its Lua. A call that dies so while it fetches the token
-- for all gives that up when it is collected, which nothing may cause while all others wait for it.
function Openresty:doubt()
  local now = self.now()
  if now - self.collected >= DOUBT then
    self.collected = now
    collectgarbage()
  end
end

--- Waits until `moment` (monotonic ms); where another call may bring the token, until one moved, or
--- may be asked whether it lives.
---@return boolean open  false: the client is closed, and whoever waits is to give up
function Openresty:wait(moment, for_token)
  if for_token then
    local doubtful = self.now() + DOUBT
    if doubtful < moment and self:rest(doubtful, true) then
      self:doubt()
    elseif doubtful >= moment then
      self:rest(moment, true)
    end
  else
    self:rest(moment)
  end
  return not self.closed
end

-- Whether `moment` has come, and nothing else, the client's end included.
function Openresty:rest(moment, for_token)
  local rest = { semaphore = self:semaphore(), for_token = for_token }
  ngx.update_time() -- nginx counts from when it last looked, which may be a while ago
  while not self.closed and self.now() < moment and not rest.over do
    self.resting[rest] = true
    rest.over = self:wait_at(rest.semaphore, moment)
  end
  self.resting[rest] = nil
  self:put_back(rest.semaphore)
  return not rest.over and not self.closed
end

function Openresty:wake_resting(for_token_only)
  for rest in pairs(self.resting) do
    if rest.for_token or not for_token_only then
      self.resting[rest] = nil
      rest.semaphore:post()
    end
  end
end

--- A call moved: it may have brought the token, or given up on fetching it.
function Openresty:moved()
  self:wake_resting(true)
end

function Openresty:close()
  core.forget_openssl_errors() -- the engine has closed its connections
  tasks.base.close(self)
  self:wake_resting(false)
  for task in pairs(self.limited) do
    task.cancelled = true
    task.semaphore:post()
  end
end

-- With a deadline --------------------------------------------------------------------------------

local function finish(task, ...)
  task.done = true
  task.semaphore:post()
  return ...
end

local function run(task, fn, ...)
  return finish(task, pcall(fn, ...))
end

-- From what ngx.thread.wait says of a thread that ran `run`.
local function outcome(_, ok, ...)
  if not ok then
    error((...), 0)
  end
  return "done", ...
end

--- Runs `fn(...)` and returns "done" and what it returned; or ends it, wherever it is, and returns
--- "timeout" once `clock.deadline` (monotonic ms; `fn` may move it) is past, "cancelled" where the
--- client is closed. nginx's own limits are of single operations, and how long a name is looked up
--- is for `resolver_timeout` to say.
---@param clock {deadline: number}
function Openresty:limit(clock, fn, ...)
  ngx.update_time()
  local task = { semaphore = self:semaphore() }
  self.limited[task] = true
  local thread = ngx.thread.spawn(run, task, fn, ...)
  repeat
    local posted = self:wait_at(task.semaphore, clock.deadline)
  until posted or self.now() >= clock.deadline
  self.limited[task] = nil
  if not task.done then
    ngx.thread.kill(thread)
    self:put_back(task.semaphore)
    return task.cancelled and "cancelled" or "timeout"
  end
  self:put_back(task.semaphore)
  return outcome(ngx.thread.wait(thread))
end

-- Waiting for something --------------------------------------------------------------------------

local Waiter = {}
Waiter.__index = Waiter

function Waiter:wake(a, b, c, d, e)
  self.woken = true
  self[1], self[2], self[3], self[4], self[5] = a, b, c, d, e
  self.semaphore:post()
end

function Waiter:wait()
  local host = self.host
  while not self.woken do
    if host:wants_pump() then
      host:pump_until(self)
    else
      host:wait_at(self.semaphore, host.now() + PATIENCE)
    end
  end
  host:put_back(self.semaphore)
  return self[1], self[2], self[3], self[4], self[5]
end

function Openresty:outsider()
  return setmetatable({ host = self, semaphore = self:semaphore() }, Waiter)
end

--- Posting a semaphore runs nobody yet, so that there is nothing to put off.
function Openresty:resume_later(waiter)
  waiter:wake()
end

-- The pump ---------------------------------------------------------------------------------------

-- libcurl leaves what it says of a failed handshake on OpenSSL's queue, where nginx, whose own TLS
-- looks into the same one, would find it.
function Openresty:step_engine()
  self.engine:step(0)
  core.forget_openssl_errors()
end

-- Steps the engine until nothing is in flight, or `waiter` has what it waits for.
function Openresty:pump(waiter)
  local pause = QUICK
  self.pumping = true
  while self.engine:pending() > 0 and not (waiter and waiter.woken) do
    self.beat = self.now()
    self:step_engine()
    local handed_out = 0
    while handed_out < AT_ONCE and self:take_result() do
      handed_out = handed_out + 1
    end
    pause = handed_out > 0 and QUICK or math.min(pause * 1.5, SLOW)
    ngx.sleep(pause)
  end
  self.pumping = false
end

local function pump_in_timer(_, self)
  self:pump()
end

-- Lets a timer pump. Not in a worker on its way out: nginx would miss what ngx_lua keeps of it.
function Openresty:start_pump()
  self.beat = self.now()
  self.pumping = not ngx.worker.exiting() and ngx.timer.at(0, pump_in_timer, self) ~= nil
end

-- Whether something is in flight and nobody pumps. A timer may have been refused; one that was
-- granted is dropped without a word to us where lua_max_running_timers is reached; and a request
-- that pumped may have been ended over it.
function Openresty:wants_pump()
  return self.engine ~= nil and self.engine:pending() > 0
    and not (self.pumping and self.now() - self.beat <= PATIENCE)
end

--- Something was begun: it goes out at once, and the pump sees to the rest.
function Openresty:changed()
  if self.engine and self.engine:pending() > 0 then
    self:step_engine()
    if self:wants_pump() then
      self:start_pump()
    end
  end
end

-- One who waits pumps, and then finds another.
function Openresty:pump_until(waiter)
  self:pump(waiter)
  if self.engine:pending() > 0 then
    self:start_pump()
    local _, next_one = next(self.awaited)
    if next_one and not self.pumping then
      next_one.semaphore:post()
    end
  end
end

-- Many at once -----------------------------------------------------------------------------------

--- Functions run as light threads, in which everything of ngx_lua may be used. They end with the
--- request that spawned them.
function Openresty:launch(fn, ended, ...)
  ngx.thread.spawn(function(...)
    ended(pcall(fn, ...))
  end, ...)
end

--- The end of a function that was spawned: never before `spawn` has returned.
function Openresty:take_turn_later(turn)
  ngx.sleep(0.001)
  turn()
end

return openresty
