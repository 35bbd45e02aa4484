/* One API for Lua 5.1, 5.2, 5.3, 5.4 and LuaJIT: the rest of csrc/lua is written for 5.4, and what
 * older versions lack is added here. Two differences cannot be hidden: before 5.3 lua_getfield and
 * its kin return nothing, and lua_Integer may have 32 bits, so times are pushed as numbers there
 * (ks_lua_push_int64). */
#ifndef KS_LUA_COMPAT_H
#define KS_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#include <stdint.h>

#if defined(_WIN32)
#define KS_LUA_EXPORT __declspec(dllexport)
#else
#define KS_LUA_EXPORT __attribute__((visibility("default")))
#endif

/* What 5.2 brought. LuaJIT calls itself 5.1 and has the functions of lauxlib. */
#if LUA_VERSION_NUM < 502

#define lua_rawlen lua_objlen

static inline int lua_absindex(lua_State *L, int index) {
    return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}

static inline void lua_rawgetp(lua_State *L, int index, const void *key) {
    index = lua_absindex(L, index);
    lua_pushlightuserdata(L, (void *)(uintptr_t)key);
    lua_rawget(L, index);
}

static inline void lua_rawsetp(lua_State *L, int index, const void *key) {
    index = lua_absindex(L, index);
    lua_pushlightuserdata(L, (void *)(uintptr_t)key);
    lua_insert(L, -2);
    lua_rawset(L, index);
}

#ifndef luaL_newlibtable /* PUC 5.1 and LuaJIT 2.0 */

#define luaL_newlibtable(L, list)                                                                  \
    lua_createtable((L), 0, (int)(sizeof(list) / sizeof((list)[0]) - 1))
#define luaL_newlib(L, list) (luaL_newlibtable((L), (list)), luaL_setfuncs((L), (list), 0))

static inline void luaL_setmetatable(lua_State *L, const char *name) {
    luaL_getmetatable(L, name);
    lua_setmetatable(L, -2);
}

static inline void *luaL_testudata(lua_State *L, int index, const char *name) {
    void *data = lua_touserdata(L, index);
    if (data == NULL || !lua_getmetatable(L, index))
        return NULL;
    luaL_getmetatable(L, name);
    int same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same ? data : NULL;
}

static inline void luaL_setfuncs(lua_State *L, const luaL_Reg *list, int upvalues) {
    luaL_checkstack(L, upvalues + 1, "too many upvalues");
    for (; list->name != NULL; list++) {
        for (int i = 0; i < upvalues; i++)
            lua_pushvalue(L, -upvalues);
        lua_pushcclosure(L, list->func, upvalues);
        lua_setfield(L, -(upvalues + 2), list->name);
    }
    lua_pop(L, upvalues);
}

#endif
#endif

/* What 5.4 brought; only without user values before it. */
#if LUA_VERSION_NUM < 504
#define lua_newuserdatauv(L, size, user_values) lua_newuserdata((L), (size))
#endif

/* An integer where Lua has integers; else a number, exact to 2^53. */
static inline void ks_lua_push_int64(lua_State *L, int64_t value) {
#if LUA_VERSION_NUM >= 503
    lua_pushinteger(L, (lua_Integer)value);
#else
    lua_pushnumber(L, (lua_Number)value);
#endif
}

#endif
