-- Guests wait: every room has a lobby from its first guest on, and who opened the room passes it.
--
-- Jitsi alone offers a lobby that somebody must switch on in each call, after whoever waited has slipped in; and it
-- keeps out the very person who opened the room, when a browser was reloaded while only guests are left inside.
--
-- Only jicofo knows who has an account: a browser enters a room under a guest's address, and proves to jicofo in its
-- conference request that somebody logged in. So jicofo's answers are read on their way to the browsers:
-- <conference room='...' identity='anna@meet.jitsi'/>. The first of them for a room names who opened it. Where no such
-- answer was seen, nothing is enforced: a lobby that nobody can leave would be worse than Jitsi's own behaviour.

local jid = require "util.jid";
local cache = require "util.cache";

local base = module:get_option_string("muc_mapper_domain_base", "meet.jitsi");
local focus_account = "focus@auth." .. base;
local focus_address = "focus." .. base;

local identities = cache.new(10000); -- bare address of a browser -> the account that logged in there
local openers = cache.new(10000);    -- room -> the account that opened it

local function answer(event)
    local stanza = event.stanza;
    if stanza.attr.from ~= focus_address or stanza.attr.type ~= "result" then return; end
    local conference = stanza:get_child("conference", "http://jitsi.org/protocol/focus");
    local identity, room = conference and conference.attr.identity, conference and conference.attr.room;
    if not identity or not room then return; end
    identities:set(jid.bare(stanza.attr.to), identity);
    if not openers:get(room) then openers:set(room, identity); end
end

module:hook("muc-occupant-pre-join", function (event)
    local room, occupant = event.room, event.occupant;
    local opener = openers:get(room.jid);
    if occupant.bare_jid == focus_account or not opener then return; end
    if identities:get(occupant.bare_jid) == opener then
        if room:get_members_only() and (room:get_affiliation(occupant.bare_jid) or "none") == "none" then
            occupant.role = "participant"; -- none was given, since the room is closed
            room:set_affiliation(true, occupant.bare_jid, "member");
        end
    elseif not room._data.guests_wait then
        room._data.guests_wait = true; -- once: whoever opened the room may switch its lobby off
        prosody.events.fire_event("create-lobby-room", { room = room });
        if not room._data.lobbyroom then module:log("error", "no lobby for %s: guests enter at once", room.jid); end
    end
end, 2); -- before the lobby has its say (-4), and the closed room (-5)

module:hook("muc-room-destroyed", function (event) openers:set(event.room.jid, nil); end);

-- Browsers are on both hosts, which may start after this one.
local function listen(host)
    if host == base or host == "guest." .. base then
        module:context(host):hook("iq/full", answer, 100);
    end
end
for host in pairs(prosody.hosts) do listen(host); end
module:hook_global("host-activated", listen);
