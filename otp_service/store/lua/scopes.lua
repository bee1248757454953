-- Shared by what reads scopes. One is a text: until when it cools, after which of its sends, and its latest id.
local function scope_of(kept)
  local cooled_at, nth, id = string.match(kept or '', '^(%d+) (%d+) (.*)$')
  return tonumber(cooled_at or 0), tonumber(nth or 0), id or ''
end
