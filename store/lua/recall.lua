-- Fragment: which conversation an agent's message meant when it was first heard.
-- Needs labels.lua.

-- holder gives the customer of a label; nil if there is no such label.
local function holder(all, label)
  for _, r in ipairs(all) do
    if r.label == label then return r.member end
  end
end

-- remember gives what was found, to be written down with the message.
local function remember(found, all)
  local parts = {'', found.word, found.label, found.lost, holder(all, found.label) or '', (string.gsub(found.to, '\n', ' '))}
  return table.concat(parts, '|')
end

-- recall finds what remember wrote; nil if it wrote nothing. A conversation that
-- is no longer there is lost.
local function recall(known, all)
  local word, label, lost, whose, to = string.match(known, '^%d+|(%l*)|(%d*)|(%d*)|([^|]*)|(.*)$')
  if not word then return nil end
  if word == 'found' and holder(all, label) ~= whose then return {word = 'lost', label = '', lost = label, to = ''} end
  return {word = word, label = label, lost = lost, to = to}
end
