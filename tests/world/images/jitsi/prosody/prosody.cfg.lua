-- The hosts and components of the real image as far as the tests need them. `ENV_X` is the variable X.

local function yes(text, otherwise)
    text = (text or otherwise):lower();
    return text == "1" or text == "true" or text == "t";
end
local function list(text)
    local words = {};
    for word in (text or ""):gmatch("[^,]+") do words[#words + 1] = word; end
    return words;
end

admins = { "focus@auth.meet.jitsi", "jvb@auth.meet.jitsi" }
plugin_paths = { "/prosody-plugins-custom", "/prosody-plugins" }
modules_enabled = { "roster", "saslauth", "tls", "disco", "admin_shell", "private", "version", "ping", "posix", "http_health" }
modules_disabled = { "offline", "register", "s2s" }
allow_registration = false
authentication = "internal_hashed"
pidfile = "/run/prosody/prosody.pid"
data_path = "/var/lib/prosody/data"
log = { { levels = { min = ENV_LOG_LEVEL or "info" }, to = "console" } }
certificates = "/run/prosody/config/certs"

c2s_require_encryption = true
consider_bosh_secure = true
consider_websocket_secure = true
http_ports = { tonumber(ENV_PROSODY_HTTP_PORT or "5280") }
http_interfaces = { "*" }
https_ports = {}
http_default_host = "meet.jitsi"
trusted_proxies = { "127.0.0.1", "::1" }
muc_mapper_domain_base = "meet.jitsi"

local auth = yes(ENV_ENABLE_AUTH, "0")
local lobby = yes(ENV_ENABLE_LOBBY, "true")

VirtualHost "meet.jitsi"
    authentication = auth and "internal_hashed" or "anonymous"
    disable_sasl_mechanisms = { "DIGEST-MD5", "OAUTHBEARER" }
    modules_enabled = { "bosh", "websocket", "smacks", lobby and "muc_lobby_rooms" or "ping" }
    main_muc = "muc.meet.jitsi"
    lobby_muc = "lobby.meet.jitsi"

if auth and yes(ENV_ENABLE_GUESTS, "0") then
    VirtualHost "guest.meet.jitsi"
        authentication = "anonymous"
        modules_enabled = { "smacks" }
end

VirtualHost "auth.meet.jitsi"
    authentication = "internal_hashed"

Component "internal-muc.meet.jitsi" "muc"
    storage = "memory"
    restrict_room_creation = true
    muc_room_locking = false
    muc_room_default_public_jids = true

Component "muc.meet.jitsi" "muc"
    storage = "memory"
    modules_enabled = list(ENV_XMPP_MUC_MODULES)
    restrict_room_creation = true
    muc_room_locking = false
    muc_room_default_public_jids = true
    muc_tombstones = false
    muc_room_allow_persistent = false

if lobby then
    Component "lobby.meet.jitsi" "muc"
        storage = "memory"
        restrict_room_creation = true
        muc_room_locking = false
        muc_room_default_public_jids = true
end

Component "focus.meet.jitsi" "client_proxy"
    target_address = "focus@auth.meet.jitsi"
