/* The module keysecure.curl: the engine for Lua. Lua code sees it through
 * lua/keysecure/transport/curl.lua, where the contract of transports is.
 *
 * curl.new{user_agent, ca_file, pinned_key, proxy, connect_timeout_ms, max_response,
 *          max_connections, http2}                                  -> engine; misuse raises
 * curl.features()                                                   -> table
 * engine:start(method, url, headers, body | nil, timeout_ms)        -> id
 *                                                                   -> nil, reason, message
 * engine:carry(call)              what a call of keysecure.core asks to send; returns as start
 * engine:step(timeout_ms)         0 never waits, below 0 waits      -> results waiting
 * engine:next()                   -> id, status, body, date, retry_after, content_type
 *                                 -> id, nil, reason, reached, message
 *                                 -> nothing: none is waiting
 * engine:pollfd() -> number | nil (this system has none), engine:events() -> "r"
 * engine:timeout() -> seconds | nil, engine:pending() -> count
 * engine:cancel(id) -> boolean, engine:close()
 *
 * step(-1) also returns when a signal arrived, so that Ctrl-C works in a plain script; call it in a
 * loop on pending(). After a fork ask for pollfd() again. */
#include "curl/engine.h"
#include "lua/call.h"
#include "lua/compat.h"

#include <curl/curl.h>
#include <limits.h>
#include <string.h>

#define KS_ENGINE "keysecure.curl.engine"

/* An id has up to 52 bits: an integer where Lua has 64-bit ones, else a number. */
static int64_t check_id(lua_State *L, int at) {
#if LUA_VERSION_NUM >= 503
    return (int64_t)luaL_checkinteger(L, at);
#else
    return (int64_t)luaL_checknumber(L, at);
#endif
}

static ks_engine *check_engine(lua_State *L) {
    ks_engine **holder = luaL_checkudata(L, 1, KS_ENGINE);
    if (!*holder) {
        luaL_error(L, "the engine has been collected");
    }
    return *holder;
}

static long check_ms(lua_State *L, int at) {
    lua_Number ms = luaL_checknumber(L, at);
    luaL_argcheck(L, ms == ms, at, "not a number of milliseconds");
    return ms > INT_MAX ? INT_MAX : ms < -1 ? -1 : (long)ms;
}

/* Options ----------------------------------------------------------------------------------- */

static const char *text_option(lua_State *L, const char *name) {
    lua_getfield(L, 1, name);
    if (!lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING) {
        luaL_error(L, "option %s: string expected, got %s", name, luaL_typename(L, -1));
    }
    size_t len = 0;
    const char *text = lua_tolstring(L, -1, &len);
    if (text && strlen(text) != len) {
        luaL_error(L, "option %s: has a NUL", name);
    }
    lua_pop(L, 1); /* the table still holds it */
    return text;
}

static long number_option(lua_State *L, const char *name, long otherwise, long most) {
    lua_getfield(L, 1, name);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return otherwise;
    }
    lua_Number number = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    lua_pop(L, 1);
    if (!(number >= 1 && number <= (lua_Number)most)) {
        luaL_error(L, "option %s: a number from 1 to %d expected", name, (int)most);
    }
    return (long)number;
}

static bool flag_option(lua_State *L, const char *name, bool otherwise) {
    lua_getfield(L, 1, name);
    if (!lua_isnil(L, -1) && !lua_isboolean(L, -1)) {
        luaL_error(L, "option %s: boolean expected, got %s", name, luaL_typename(L, -1));
    }
    bool flag = lua_isnil(L, -1) ? otherwise : lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return flag;
}

static void check_option_names(lua_State *L) {
    static const char *const known[] = {
        "user_agent",   "ca_file",         "pinned_key", "proxy", "connect_timeout_ms",
        "max_response", "max_connections", "http2",      NULL,
    };
    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        size_t i = 0;
        while (known[i] && strcmp(known[i], name) != 0) {
            i++;
        }
        if (!known[i]) {
            luaL_error(L, "unknown option %s", name);
        }
    }
}

static ks_engine_options check_options(lua_State *L) {
    ks_engine_options options = ks_engine_defaults();
    if (lua_isnoneornil(L, 1)) {
        return options;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    check_option_names(L);
    options.user_agent = text_option(L, "user_agent");
    options.ca_file = text_option(L, "ca_file");
    options.pinned_key = text_option(L, "pinned_key");
    options.proxy = text_option(L, "proxy");
    options.connect_timeout_ms =
        number_option(L, "connect_timeout_ms", options.connect_timeout_ms, INT_MAX);
    options.max_response =
        (size_t)number_option(L, "max_response", (long)options.max_response, INT_MAX);
    options.max_connections = number_option(L, "max_connections", options.max_connections, 65535);
    options.http2 = flag_option(L, "http2", options.http2);
    if (options.user_agent && strpbrk(options.user_agent, "\r\n")) {
        luaL_error(L, "option user_agent: has a line break");
    }
    return options;
}

static int engine_new(lua_State *L) {
    ks_engine_options options = check_options(L);
    /* The userdata first: __gc then covers every way out. */
    ks_engine **holder = lua_newuserdatauv(L, sizeof *holder, 0);
    *holder = NULL;
    luaL_setmetatable(L, KS_ENGINE);
    *holder = ks_engine_new(&options);
    return *holder ? 1 : luaL_error(L, "not enough memory");
}

/* Requests ---------------------------------------------------------------------------------- */

static ks_span check_span(lua_State *L, int at) {
    ks_span span;
    luaL_checktype(L, at, LUA_TSTRING); /* a number would be converted in its place */
    span.data = lua_tolstring(L, at, &span.size);
    return span;
}

/* The strings stay in the table at `at`, so what is collected here outlives the loop. */
static size_t check_headers(lua_State *L, int at, ks_header headers[KS_HEADERS_MAX]) {
    size_t count = 0;
    luaL_checktype(L, at, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, at) != 0; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
            luaL_argerror(L, at, "headers must be strings by strings");
        }
        if (count == KS_HEADERS_MAX) {
            luaL_argerror(L, at, "too many headers");
        }
        ks_header *header = &headers[count++];
        header->name.data = lua_tolstring(L, -2, &header->name.size);
        header->value.data = lua_tolstring(L, -1, &header->value.size);
    }
    return count;
}

static int start(lua_State *L, ks_engine *engine, const ks_request *request) {
    ks_reason reason;
    const char *message;
    int64_t id = ks_engine_start(engine, request, &reason, &message);
    if (id > 0) {
        ks_lua_push_int64(L, id);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, ks_reason_name(reason));
    lua_pushstring(L, message);
    return 3;
}

static int engine_start(lua_State *L) {
    ks_engine *engine = check_engine(L);
    ks_header headers[KS_HEADERS_MAX];
    ks_request request = {.method = check_span(L, 2), .url = check_span(L, 3), .headers = headers};
    request.header_count = check_headers(L, 4, headers);
    if (!lua_isnoneornil(L, 5)) {
        request.body = check_span(L, 5);
    }
    request.timeout_ms = check_ms(L, 6);
    return start(L, engine, &request);
}

/* engine:carry(call): as `start`, with the request that a call of keysecure.core asks for. */
static int engine_carry(lua_State *L) {
    ks_engine *engine = check_engine(L);
    const ks_request *request = luaL_checkudata(L, 2, KS_LUA_CALL_TYPE);
    luaL_argcheck(L, request->method.data != NULL, 2, "the call asks for nothing to be sent");
    return start(L, engine, request);
}

static int engine_step(lua_State *L) {
    ks_engine *engine = check_engine(L);
    lua_pushinteger(L, (lua_Integer)ks_engine_step(engine, check_ms(L, 2)));
    return 1;
}

static void push_span(lua_State *L, ks_span span) {
    if (span.data) {
        lua_pushlstring(L, span.data, span.size);
    } else {
        lua_pushnil(L);
    }
}

static int push_failure(lua_State *L, const ks_result *result) {
    lua_pushnil(L);
    lua_pushstring(L, ks_reason_name(result->reason));
    lua_pushstring(L, ks_reached_name(result->reached));
    lua_pushstring(L, result->message);
    return 5;
}

static int engine_next(lua_State *L) {
    ks_result result;
    if (!ks_engine_next(check_engine(L), &result)) {
        return 0;
    }
    ks_lua_push_int64(L, result.id);
    if (result.status == 0) {
        return push_failure(L, &result);
    }
    lua_pushinteger(L, (lua_Integer)result.status);
    push_span(L, result.body);
    push_span(L, result.date);
    push_span(L, result.retry_after);
    push_span(L, result.content_type);
    return 6;
}

/* The pollable object ----------------------------------------------------------------------- */

static int engine_pollfd(lua_State *L) {
    int fd = ks_engine_pollfd(check_engine(L));
    if (fd < 0) {
        lua_pushnil(L);
    } else {
        lua_pushinteger(L, fd);
    }
    return 1;
}

static int engine_events(lua_State *L) {
    (void)check_engine(L);
    lua_pushliteral(L, "r");
    return 1;
}

static int engine_timeout(lua_State *L) {
    long ms = ks_engine_timeout(check_engine(L));
    if (ms < 0) {
        lua_pushnil(L);
    } else {
        lua_pushnumber(L, (lua_Number)ms / 1000);
    }
    return 1;
}

static int engine_pending(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)ks_engine_pending(check_engine(L)));
    return 1;
}

static int engine_cancel(lua_State *L) {
    ks_engine *engine = check_engine(L);
    lua_pushboolean(L, ks_engine_cancel(engine, check_id(L, 2)));
    return 1;
}

static int engine_close(lua_State *L) {
    ks_engine_close(check_engine(L));
    return 0;
}

static int engine_gc(lua_State *L) {
    ks_engine **holder = luaL_checkudata(L, 1, KS_ENGINE);
    ks_engine_free(*holder);
    *holder = NULL;
    return 0;
}

/* Says nothing of the options: a proxy's may hold a password. */
static int engine_tostring(lua_State *L) {
    lua_pushfstring(L, "%s (%d pending)", KS_ENGINE, (int)ks_engine_pending(check_engine(L)));
    return 1;
}

/* What this libcurl can do. asyncdns false: looking a name up blocks the whole process, time-outs
 * included. single_send false: see ks_engine_guards_reuse. */
static int features(lua_State *L) {
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    lua_createtable(L, 0, 8);
    lua_pushstring(L, info->version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, info->ssl_version);
    lua_setfield(L, -2, "ssl");
    lua_pushboolean(L, (info->features & CURL_VERSION_SSL) != 0);
    lua_setfield(L, -2, "tls");
    lua_pushboolean(L, (info->features & CURL_VERSION_HTTP2) != 0);
    lua_setfield(L, -2, "http2");
    lua_pushboolean(L, (info->features & CURL_VERSION_ASYNCHDNS) != 0);
    lua_setfield(L, -2, "asyncdns");
#ifdef CURL_VERSION_THREADSAFE
    lua_pushboolean(L, (info->features & CURL_VERSION_THREADSAFE) != 0);
#else
    lua_pushboolean(L, 0);
#endif
    lua_setfield(L, -2, "threadsafe");
    lua_pushboolean(L, ks_engine_guards_reuse());
    lua_setfield(L, -2, "single_send");
    return 1;
}

static void make_metatable(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"start", engine_start},
        {"carry", engine_carry},
        {"step", engine_step},
        {"next", engine_next},
        {"pollfd", engine_pollfd},
        {"events", engine_events},
        {"timeout", engine_timeout},
        {"pending", engine_pending},
        {"cancel", engine_cancel},
        {"close", engine_close},
        {"__gc", engine_gc},
        {"__tostring", engine_tostring},
        {NULL, NULL},
    };
    luaL_newmetatable(L, KS_ENGINE);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

KS_LUA_EXPORT int luaopen_keysecure_curl(lua_State *L);

int luaopen_keysecure_curl(lua_State *L) {
    static const luaL_Reg functions[] = {{"new", engine_new}, {"features", features}, {NULL, NULL}};
    make_metatable(L);
    luaL_newlib(L, functions);
    return 1;
}
