/* The module keysecure.core: crypto and the logic of calls, on libcrypto alone. Internal: the Lua
 * files beside it are the interface. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */

#include "lua/core.h"

#include "core/forks.h"
#include "core/json.h"
#include "core/version.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/opensslv.h>
#include <time.h>

void ks_lua_register_type(lua_State *L, const char *name, const luaL_Reg *methods) {
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

ks_span ks_lua_check_span(lua_State *L, int index) {
    ks_span span;
    luaL_checktype(L, index, LUA_TSTRING);
    span.data = lua_tolstring(L, index, &span.size);
    return span;
}

/* Time --------------------------------------------------------------------------------------- */

static int64_t milliseconds(clockid_t clock) {
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Goes on while the machine sleeps, where the system has such a clock: what was learnt of the
 * server's clock stays true, and a token doesn't outlive its time. */
#ifdef CLOCK_BOOTTIME
#define STEADY_CLOCK CLOCK_BOOTTIME
#else
#define STEADY_CLOCK CLOCK_MONOTONIC
#endif

/* core.monotonic(): milliseconds since some moment, the same for all processes until the machine
 * starts anew; never goes back. */
static int core_monotonic(lua_State *L) {
    ks_lua_push_int64(L, milliseconds(STEADY_CLOCK));
    return 1;
}

/* core.wall(): Unix milliseconds of this machine's clock, right or wrong. */
static int core_wall(lua_State *L) {
    ks_lua_push_int64(L, milliseconds(CLOCK_REALTIME));
    return 1;
}

/* core.now(): both of them. */
static int core_now(lua_State *L) {
    core_monotonic(L);
    core_wall(L);
    return 2;
}

/* core.seconds(): as `monotonic`, in seconds, and as fine as the clock is: to keep a budget by. */
static int core_seconds(lua_State *L) {
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9);
    return 1;
}

/* core.forks(): how many forks made this process out of the one that asked first. */
static int core_forks(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)ks_forks());
    return 1;
}

/* core.sleep(milliseconds): for plain scripts, which have nothing else to do. */
static int core_sleep(lua_State *L) {
    double pause = luaL_checknumber(L, 1);
    luaL_argcheck(L, pause >= 0 && pause < 1e12, 1, "milliseconds expected");
    struct timespec left = {(time_t)(pause / 1000), 0};
    left.tv_nsec = (long)((pause - (double)left.tv_sec * 1000) * 1000000);
    nanosleep(&left, NULL); /* a signal ends it early: whoever sleeps looks at the clock again */
    return 0;
}

/* JSON --------------------------------------------------------------------------------------- */

/* core.check_json(text): true, or nil, why, and the position of the byte at fault, from 1. */
static int core_check_json(lua_State *L) {
    ks_span text = ks_lua_check_span(L, 1);
    ks_json_fault fault;
    if (ks_json_check(text.data, text.size, NULL, &fault)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, fault.reason);
    ks_lua_push_int64(L, (int64_t)fault.offset + 1);
    return 3;
}

/* core.read_envelope(text): code, msg, data (the two lexemes, or nil); or nil, why, position. */
static int core_read_envelope(lua_State *L) {
    ks_span text = ks_lua_check_span(L, 1);
    ks_json_fault fault;
    ks_json_envelope envelope;
    if (!ks_json_envelope_read(text.data, text.size, &envelope, &fault)) {
        lua_pushnil(L);
        lua_pushstring(L, fault.reason);
        ks_lua_push_int64(L, (int64_t)fault.offset + 1);
        return 3;
    }
    lua_pushinteger(L, envelope.code);
    ks_json_value parts[2] = {envelope.msg, envelope.data};
    for (size_t i = 0; i < 2; i++) {
        if (parts[i].type == KS_JSON_ABSENT)
            lua_pushnil(L);
        else
            lua_pushlstring(L, parts[i].lexeme.data, parts[i].lexeme.size);
    }
    return 3;
}

/* core.member(text, name): the lexeme of that member of a JSON object, the last of duplicates; nil
 * where there is none; or nil, why, position. */
static int core_member(lua_State *L) {
    ks_span text = ks_lua_check_span(L, 1), name = ks_lua_check_span(L, 2);
    ks_json_value key, value, found = {0};
    ks_json_members walk;
    ks_json_step step;
    ks_json_members_start(&walk, text.data, text.size);
    while ((step = ks_json_members_next(&walk, &key, &value)) == KS_JSON_MEMBER) {
        if (ks_json_string_is(key, name.data, name.size))
            found = value;
    }
    if (step == KS_JSON_BAD) {
        lua_pushnil(L);
        lua_pushstring(L, walk.fault.reason);
        ks_lua_push_int64(L, (int64_t)walk.fault.offset + 1);
        return 3;
    }
    if (found.type == KS_JSON_ABSENT)
        lua_pushnil(L);
    else
        lua_pushlstring(L, found.lexeme.data, found.lexeme.size);
    return 1;
}

/* libcrypto ---------------------------------------------------------------------------------- */

/* core.openssl_error(): what is at the head of libcrypto's error queue, or nil when it is empty, as
 * every function here leaves it. Looks without taking; for tests, and for hosts that hunt for the
 * one who left something. */
static int core_openssl_error(lua_State *L) {
    unsigned long code = ERR_peek_error();
    char text[256];
    if (code == 0)
        return 0;
    ERR_error_string_n(code, text, sizeof text);
    lua_pushstring(L, text);
    return 1;
}

/* core.forget_openssl_errors(): empties that queue, after code of others that leaves something in
 * it (libcurl does where a handshake fails), before nginx takes that for a fault of its own. */
static int core_forget_openssl_errors(lua_State *L) {
    (void)L;
    ERR_clear_error();
    return 0;
}

/* Another major version has the same names with other structures behind them. OpenResty ships its
 * own libcrypto, so that two of them meet is more than a theory. */
static void check_libcrypto(lua_State *L) {
    unsigned long loaded = OpenSSL_version_num() >> 28, built = OPENSSL_VERSION_NUMBER >> 28;
    if (loaded != built)
        luaL_error(L,
                   "keysecure.core was built for OpenSSL %d, but this process has loaded %s; "
                   "build it against the headers of that one",
                   (int)built, OpenSSL_version(OPENSSL_VERSION));
}

KS_LUA_EXPORT int luaopen_keysecure_core(lua_State *L);

int luaopen_keysecure_core(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"monotonic", core_monotonic},
        {"wall", core_wall},
        {"now", core_now},
        {"seconds", core_seconds},
        {"forks", core_forks},
        {"sleep", core_sleep},
        {"check_json", core_check_json},
        {"read_envelope", core_read_envelope},
        {"member", core_member},
        {"openssl_error", core_openssl_error},
        {"forget_openssl_errors", core_forget_openssl_errors},
        {NULL, NULL},
    };
    check_libcrypto(L);
    luaL_newlib(L, functions);
    lua_pushliteral(L, KS_VERSION);
    lua_setfield(L, -2, "version");
    ks_lua_open_cipher(L);
    ks_lua_open_signature(L);
    ks_lua_open_client(L);
    ks_lua_open_callback(L);
    ks_lua_open_private(L);
    ks_lua_open_sharing(L);
    return 1;
}
