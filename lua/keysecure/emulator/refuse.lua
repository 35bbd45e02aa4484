--- A call that the platform refuses.

---@class keysecure.emulator.Refusal
---@field code integer
---@field field? string   named in `msg` where the code is about a field
---@field note? string    for the log: which rule was broken, never by what value
---@field status? integer HTTP status, 200 unless given

--- `return refuse(2002)` ends an operation: nil and the refusal.
---@param code integer
---@param field? string
---@param note? string
---@return nil
---@return keysecure.emulator.Refusal
local function refuse(code, field, note)
  return nil, { code = code, field = field, note = note }
end

return refuse
