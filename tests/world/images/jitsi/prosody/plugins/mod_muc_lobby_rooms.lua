-- Stands for Jitsi's lobby: a room that somebody closed lets in its members only; others are told where to wait.
local jid = require "util.jid";
local st = require "util.stanza";

local main_muc = module:get_option_string("main_muc");
local lobby_muc = module:get_option_string("lobby_muc");

module:hook_global("create-lobby-room", function (event)
    local room = event.room;
    for _, occupant in room:each_occupant() do
        if (room:get_affiliation(occupant.bare_jid) or "none") == "none" then
            room:set_affiliation(true, occupant.bare_jid, "member");
        end
    end
    room:set_members_only(true);
    room._data.lobbyroom = jid.node(room.jid) .. "@" .. lobby_muc;
end);

local function listen(host)
    if host ~= main_muc then return; end
    module:context(host):hook("muc-occupant-pre-join", function (event)
        local room, occupant, stanza = event.room, event.occupant, event.stanza;
        if not room:get_members_only() or (room:get_affiliation(occupant.bare_jid) or "none") ~= "none" then return; end
        event.origin.send(st.error_reply(stanza, "auth", "registration-required")
            :tag("lobbyroom", { xmlns = "http://jitsi.org/jitmeet" }):text(room._data.lobbyroom));
        return true;
    end, -4);
end
for host in pairs(prosody.hosts) do listen(host); end
module:hook_global("host-activated", listen);
