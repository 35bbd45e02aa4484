--- Writes docs/assumptions.md out of lua/keysecure/assumptions.lua: `./dev docs`.
local page = { [[
# What is assumed

Made of `lua/keysecure/assumptions.lua` by `./dev docs`; change it there.

The platform publishes most of its rules, not all. Where code, specs or the emulator rest on
something unpublished they name it by a mark, so that a user with real credentials can find it and
correct it in one place. `P` is published, `D` derived from what is published, `A` and a number one
of these:

| mark | what is assumed |
|---|---|]] }

for _, assumption in ipairs(require "keysecure.assumptions") do
  page[#page + 1] = string.format("| %s | %s |", assumption.mark, assumption.text)
end

return table.concat(page, "\n") .. "\n"
