-- GET /health, from this container only.
module:set_global();

local permitted = module:get_option_set("http_health_allow_ips", { "::1", "127.0.0.1" });

module:provides("http", {
    route = {
        GET = function (event)
            if not permitted:contains(event.request.ip) then return 403; end
            return { status_code = 200, headers = { content_type = "text/plain" }, body = "OK\n" };
        end;
    };
});
