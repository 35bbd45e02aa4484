--- The operations of `api`, by name: each takes the platform and a call, and answers its data or
--- nil and a refusal.
local operations = {}

for _, part in ipairs { "merchant", "cardholders", "cards", "consumptions", "pci", "accounts",
  "simulate" } do
  for name, operation in pairs(require("keysecure.emulator.operations." .. part)) do
    operations[name] = operation
  end
end

return operations
