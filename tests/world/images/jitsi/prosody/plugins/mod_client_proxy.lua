-- A component that hands requests to whoever is logged in as `target_address`, with the sender's address as its own
-- resource; and the answers back.
local jid = require "util.jid";
local st = require "util.stanza";

local target = module:get_option_string("target_address");
local node, host = jid.split(target);

-- A session of the target: the account's host holds them.
local function session()
    local known = prosody.hosts[host] and prosody.hosts[host].sessions[node];
    return known and next(known.sessions);
end

local function handle(event)
    local stanza = event.stanza;
    local kind = stanza.attr.type;
    if stanza.name ~= "iq" then return true; end
    if kind == "get" or kind == "set" then
        local resource = session();
        if not resource then
            module:send(st.error_reply(stanza, "cancel", "service-unavailable"));
            return true;
        end
        stanza.attr.from = module.host .. "/" .. stanza.attr.from;
        stanza.attr.to = target .. "/" .. resource;
    elseif jid.bare(stanza.attr.from) == target then
        stanza.attr.to = select(3, jid.split(stanza.attr.to));
        stanza.attr.from = module.host;
    else
        return true;
    end
    module:send(stanza);
    return true;
end

for _, kind in ipairs { "iq/full", "iq/host", "iq/bare" } do module:hook(kind, handle, -1); end
