/* The methods of a call for sharing the token with other processes: csrc/core/sharing.h for
 * lua/keysecure/shared_token.lua. Every `common` is three arguments: a time of the clock that the
 * processes have in common, its epoch, and this process's monotonic time before it was read; or
 * nothing where there is no such clock. */
#define _POSIX_C_SOURCE 200809L /* getpid */

#include "core/sharing.h"

#include "lua/core.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <unistd.h>

static ks_call *check_call(lua_State *L) {
    ks_call *call = luaL_checkudata(L, 1, KS_LUA_CALL_TYPE);
    luaL_argcheck(L, call->client != NULL, 1, "the call is closed");
    return call;
}

static ks_now check_now(lua_State *L) {
    ks_now now = {(int64_t)luaL_checknumber(L, 2), (int64_t)luaL_checknumber(L, 3)};
    return now;
}

static ks_common_time opt_common(lua_State *L, int index) {
    ks_common_time common = {0};
    if (!lua_isnoneornil(L, index)) {
        common.known = true;
        common.at = (int64_t)luaL_checknumber(L, index);
        common.epoch = ks_lua_check_span(L, index + 1);
        common.before = (int64_t)luaL_checknumber(L, index + 2);
    }
    return common;
}

/* call:adopt(monotonic, wall, text, common…): whether it now has a token of another process */
static int call_adopt(lua_State *L) {
    ks_call *call = check_call(L);
    ks_now now = check_now(L);
    ks_span text = ks_lua_check_span(L, 4);
    ks_common_time common = opt_common(L, 5);
    lua_pushboolean(L, ks_sharing_adopt(call, now, &common, text));
    return 1;
}

/* call:elected() */
static int call_elected(lua_State *L) {
    ks_sharing_elected(check_call(L));
    return 0;
}

/* call:stand_back(monotonic, wall): whether it can go on with the token that is here */
static int call_stand_back(lua_State *L) {
    ks_call *call = check_call(L);
    lua_pushboolean(L, ks_sharing_stand_back(call, check_now(L)));
    return 1;
}

/* call:told(monotonic, wall, note): whether the note says why another process failed */
static int call_told(lua_State *L) {
    ks_call *call = check_call(L);
    ks_now now = check_now(L);
    lua_pushboolean(L, ks_sharing_told(call, now, ks_lua_check_span(L, 4)));
    return 1;
}

/* call:record(monotonic, wall, common…): nothing; or "token", text, ms to keep it; or "failure",
 * text. The text is sealed. */
static int call_record(lua_State *L) {
    ks_call *call = check_call(L);
    ks_now now = check_now(L);
    ks_common_time common = opt_common(L, 4);
    ks_text text;
    int64_t lasts = 0;
    ks_text_init(&text, KS_SEAL_TEXT_MAX, KS_TEXT_PLAIN);
    ks_sharing_kind kind = ks_sharing_record(call, now, &common, &text, &lasts);
    if (kind != KS_SHARING_NOTHING) {
        lua_pushstring(L, kind == KS_SHARING_TOKEN ? "token" : "failure");
        lua_pushlstring(L, text.data, text.size);
        lua_pushnumber(L, (lua_Number)lasts);
    }
    ks_text_cleanup(&text);
    return kind == KS_SHARING_NOTHING ? 0 : 3;
}

/* call:shared() */
static int call_shared(lua_State *L) {
    ks_sharing_shared(check_call(L));
    return 0;
}

/* core.nonce(): 16 hex digits that nobody had before, or nothing where there is no randomness. */
static int core_nonce(lua_State *L) {
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[8];
    char hex[2 * sizeof bytes];
    if (RAND_bytes(bytes, sizeof bytes) != 1) {
        ERR_clear_error();
        return 0;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    lua_pushlstring(L, hex, sizeof hex);
    return 1;
}

/* core.pid(): which process this is, for what must not be used by a forked child. */
static int core_pid(lua_State *L) {
    lua_pushinteger(L, (lua_Integer)getpid());
    return 1;
}

const luaL_Reg ks_lua_sharing_methods[] = {
    {"adopt", call_adopt}, {"elected", call_elected}, {"stand_back", call_stand_back},
    {"told", call_told},   {"record", call_record},   {"shared", call_shared},
    {NULL, NULL},
};

void ks_lua_open_sharing(lua_State *L) {
    lua_pushcfunction(L, core_nonce);
    lua_setfield(L, -2, "nonce");
    lua_pushcfunction(L, core_pid);
    lua_setfield(L, -2, "pid");
}
