local core = require "keysecure.core"
local file = require "keysecure.token_store.file"
local support = require "spec.support.token_store"

local KEY = ("0123456789abcdef"):rep(2)

local function shell(command)
  local pipe = assert(io.popen(command, "r"))
  local output = pipe:read "*a"
  pipe:close()
  return (output:gsub("%s+$", ""))
end

describe("the token store in a directory", function()
  local parent, directory, store

  before_each(function()
    parent = shell "mktemp -d"
    directory = parent .. "/tokens"
    store = file.new { directory = directory }
  end)
  after_each(function()
    os.execute("chmod -R u+rwX " .. parent .. " && rm -rf " .. parent)
  end)

  support.contract({ it = it, before_each = before_each },
    function() return file.new { directory = directory } end,
    function() return file.new { directory = directory .. "//" } end)

  local function write(name, content, mode)
    local handle = assert(io.open(directory .. "/" .. name, "w"))
    handle:write(content)
    handle:close()
    os.execute(("chmod %s %s/%s"):format(mode or "600", directory, name))
  end

  local function read(name)
    local handle = assert(io.open(directory .. "/" .. name))
    local content = handle:read "*a"
    handle:close()
    return content
  end

  local function use()
    assert.is_true(store:save(KEY, "text", 60))
    assert.is_true(store:claim(KEY, "a", 60))
  end

  it("touches nothing before it is used", function()
    assert.equal("", shell("ls -A " .. parent))
  end)

  it("lets nobody else in, from the beginning on, whatever the umask", function()
    for _, umask in ipairs { "000", "022", "077" } do
      os.execute("rm -rf " .. directory)
      local seen = shell(("umask %s; %s spec/support/store_child.lua use file:%s %s"):format(umask,
        os.getenv "KS_INTERPRETER", directory, KEY))
      assert.equal("saved claimed", seen)
      assert.equal("700", shell("stat -c %a " .. directory))
      assert.equal("600", shell(("stat -c %%a %s/* | sort -u"):format(directory)))
    end
    assert.equal(3, tonumber(shell("ls -A " .. directory .. " | wc -l")))
  end)

  it("writes files that were never open to others #plain", function()
    local log = parent .. "/strace"
    if shell "strace -o /dev/null echo traced 2>/dev/null" ~= "traced" then
      pending "this machine lets no process be traced"
      return
    end
    shell(("umask 000; strace -f -e trace=openat,open,creat,mkdir,chmod,fchmod -o %s %s"
      .. " spec/support/store_child.lua use file:%s %s"):format(log, os.getenv "KS_INTERPRETER",
      directory, KEY))
    local handle = assert(io.open(log))
    local created = 0
    for line in handle:lines() do
      if line:find "O_CREAT" and line:find(KEY, 1, true) then
        created = created + 1
        assert.matches("0600%) = ", line)
        assert.matches("O_NOFOLLOW", line)
        assert.matches(line:find ".lock" and "O_CREAT" or "O_EXCL", line)
      end
      assert.is_nil(line:find "chmod")
    end
    handle:close()
    assert.is_true(created >= 3)
  end)

  it("is not used where others could enter, or a link stands in its place", function()
    use()
    for _, mode in ipairs { "750", "701", "777" } do
      os.execute(("chmod %s %s"):format(mode, directory))
      for _, result in ipairs { { store:load(KEY) }, { store:save(KEY, "text", 60) },
        { store:claim(KEY, "a", 60) }, { store:release(KEY, "a") } } do
        assert.is_nil(result[1])
        assert.equal("directory: must belong to this user and be closed to others (chmod 700)",
          result[2])
      end
    end
    os.execute("chmod 700 " .. directory)
    os.execute(("mv %s %s.real && ln -s %s.real %s"):format(directory, directory, directory,
      directory))
    assert.is_nil((file.new { directory = directory .. "/" }:load(KEY)))
    assert.matches("^directory: ", (select(2, file.new { directory = directory .. "/" }:load(KEY))))
  end)

  it("says what is wrong where the directory can't be made", function()
    local lost = file.new { directory = parent .. "/no/such" }
    assert.same({ nil, "directory: No such file or directory" }, { lost:save(KEY, "text", 60) })
    local plain = file.new { directory = parent .. "/file" }
    os.execute("touch " .. parent .. "/file")
    assert.matches("^directory: ", (select(2, plain:claim(KEY, "a", 60))))
  end)

  it("ignores a file that is open to others, and replaces it", function()
    use()
    local content = read(KEY)
    for _, mode in ipairs { "640", "604", "622" } do
      write(KEY, content, mode)
      assert.is_nil(store:load(KEY))
    end
    assert.is_true(store:save(KEY, "new", 60))
    assert.equal("new", store:load(KEY))
    assert.equal("600", shell(("stat -c %%a %s/%s"):format(directory, KEY)))
  end)

  it("ignores a file of somebody else, and replaces it #plain", function()
    if shell "id -u" ~= "0" then
      pending "only root can give a file to somebody else"
      return
    end
    use()
    os.execute(("chown 12345 %s/%s %s/%s.claim"):format(directory, KEY, directory, KEY))
    assert.is_nil(store:load(KEY))
    assert.is_true(store:claim(KEY, "b", 60))
    assert.is_true(store:save(KEY, "new", 60))
    assert.equal("new", store:load(KEY))
    os.execute("chown 12345 " .. directory)
    assert.matches("must belong to this user", (select(2, store:load(KEY))))
    assert.matches("must belong to this user", (select(2, store:save(KEY, "x", 60))))
  end)

  it("follows no link, and hangs on no pipe", function()
    use()
    local target = parent .. "/target"
    os.execute(("mv %s/%s %s && ln -s %s %s/%s"):format(directory, KEY, target, target, directory,
      KEY))
    assert.is_nil(store:load(KEY))
    assert.is_true(store:save(KEY, "new", 60))
    assert.equal("new", store:load(KEY))
    assert.equal("", shell("find " .. directory .. " -type l"))
    assert.matches("text", shell("cat " .. target))
    os.execute(("ln -s %s %s/%s.new"):format(target, directory, KEY)) -- where it writes at first
    assert.is_true(store:save(KEY, "newer", 60))
    assert.matches(" text$", shell("cat " .. target))
    os.execute(("rm %s/%s; mkfifo -m 600 %s/%s"):format(directory, KEY, directory, KEY))
    assert.is_nil(store:load(KEY))
    os.execute(("rm %s/%s.lock; ln -s %s %s/%s.lock"):format(directory, KEY, target, directory,
      KEY))
    assert.matches("%.lock: ", (select(2, store:claim(KEY, "b", 60))))
  end)

  it("says so where a directory stands in a file's place", function()
    use()
    os.execute(("rm %s/%s && mkdir %s/%s"):format(directory, KEY, directory, KEY))
    assert.is_nil(store:load(KEY))
    assert.matches("^" .. KEY .. ": ", (select(2, store:save(KEY, "new", 60))))
    assert.equal("", shell("find " .. directory .. " -name '*.new'"))
  end)

  it("ignores what is torn, foreign or of another time", function()
    use()
    local token, claim = read(KEY), read(KEY .. ".claim")
    local wall, monotonic = core.wall(), core.monotonic()
    local function shape(kind, moment, text)
      return ("keysecure 1 %s %.0f %s\n"):format(kind, moment, text)
    end
    assert.equal("text", token:match "^keysecure 1 token %d+ (%S+)\n$")
    assert.equal("a", claim:match "^keysecure 1 claim %d+ (%S+)\n$")
    for _, content in ipairs { "", "\n", "\0\0\0\0", token:sub(1, -2), token:sub(1, 20),
      token .. "x", token .. token, shape("note", wall + 5000, "x"), shape("token", wall - 1, "x"),
      shape("token", wall + 400 * 86400000, "x"), shape("token", 1 / 0, "x"), ("x"):rep(100000) } do
      write(KEY, content)
      assert.is_nil((store:load(KEY)))
    end
    for _, content in ipairs { "", "nonsense", claim:sub(1, -2), shape("claim", monotonic - 1, "c"),
      shape("claim", monotonic + 61000, "c"), shape("claim", 1e300, "c") } do
      write(KEY .. ".claim", content)
      assert.is_true(store:claim(KEY, "b", 60), content)
    end
  end)

  it("replaces what a killed writer left half done", function()
    use()
    write(KEY .. ".new", "half")
    assert.is_true(store:save(KEY, "whole", 60))
    assert.equal("whole", store:load(KEY))
    assert.equal("", shell("find " .. directory .. " -name '*.new'"))
  end)

  it("says so where the disk is full or read-only, and leaves the old token #plain", function()
    use()
    local child = ("%s spec/support/store_child.lua use file:%s %s"):format(
      os.getenv "KS_INTERPRETER", directory, KEY)
    -- A limit on what a process may write stands for a full disk; its signal must not end it.
    assert.matches("^not saved: " .. KEY .. ": File too large", shell(
      "bash -c 'trap \"\" XFSZ; ulimit -f 0; exec " .. child .. "' 2>&1"))
    assert.equal("text", store:load(KEY))
    assert.equal("", shell("find " .. directory .. " -name '*.new'"))
  end)

  it("does not wait for somebody who was stopped while holding the lock", function()
    use()
    local lock = assert(core.private_lock(directory, KEY .. ".lock"))
    local before = core.monotonic()
    assert.same({ nil, KEY .. ".lock: Device or resource busy" }, { store:claim(KEY, "b", 60) })
    assert.is_true(core.monotonic() - before < 10000)
    assert.equal("text", store:load(KEY)) -- reading needs none
    lock:release()
    lock:release()
    assert.is_false((store:claim(KEY, "b", 60)))
  end)

  it("elects one of many processes #plain", function()
    local command = {}
    for i = 1, 8 do
      command[i] = ("%s spec/support/store_child.lua elect file:%s %s %d &"):format(
        os.getenv "KS_INTERPRETER", directory, KEY, i)
    end
    local answers = shell(table.concat(command, " ") .. " wait")
    local _, won = answers:gsub("won", "")
    local _, lost = answers:gsub("lost", "")
    assert.same({ 200, 1400 }, { won, lost })
  end)

  it("never shows half a text while it is replaced #plain", function()
    local command = ("%s spec/support/store_child.lua write file:%s %s & %s"
      .. " spec/support/store_child.lua read file:%s %s; wait"):format(os.getenv "KS_INTERPRETER",
      directory, KEY, os.getenv "KS_INTERPRETER", directory, KEY)
    assert.equal("whole", shell(command))
  end)

  it("leaks no descriptor", function()
    local function count()
      collectgarbage()
      collectgarbage()
      return tonumber(shell("ls /proc/$PPID/fd | wc -l"))
    end
    use()
    local before = count()
    for _ = 1, 50 do
      store:load(KEY)
      store:save(KEY, "text", 60)
      store:claim(KEY, "b", 60)
      store:load("nothing")
      file.new { directory = parent .. "/no/such" }:claim(KEY, "b", 60)
    end
    -- The pipe that is counted through has one end or two, as the shell is slow or fast.
    assert.is_true(count() <= before + 1)
  end)

  it("prints as where it is", function()
    assert.equal("token store in " .. directory, tostring(store))
  end)

  it("raises for what is no option", function()
    for _, case in ipairs { { nil, "a table of options expected, got nil" },
      { { path = "x" }, "no option 'path'" }, { { directry = "x" }, "did you mean 'directory'?" },
      { {}, "directory: a path expected" }, { { directory = 7 }, "a path expected" },
      { { directory = "a\0b" }, "a path expected" } } do
      local ok, message = pcall(file.new, case[1])
      assert.is_false(ok)
      assert.matches(case[2], message, 1, true)
      assert.matches("token_store_file_spec.lua", message, 1, true)
    end
  end)
end)

describe("private files", function()
  it("take plain names alone", function()
    for _, name in ipairs { "", "a/b", "../a", ("x"):rep(65) } do
      for _, fn in ipairs { core.private_read, core.private_remove, core.private_lock } do
        assert.has_error(function() fn("/tmp", name) end)
      end
    end
  end)
end)
