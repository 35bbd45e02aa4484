/* The parts of the module keysecure.core. Each `open` finds the module's table on the top of the
 * stack, adds its functions, and leaves it there. */
#ifndef KS_LUA_CORE_H
#define KS_LUA_CORE_H

#include "core/text.h"
#include "lua/call.h"
#include "lua/compat.h"

void ks_lua_open_callback(lua_State *L);
void ks_lua_open_cipher(lua_State *L);
void ks_lua_open_client(lua_State *L);
void ks_lua_open_private(lua_State *L);
void ks_lua_open_sharing(lua_State *L);
void ks_lua_open_signature(lua_State *L);

/* Methods of a call that csrc/lua/sharing.c adds. */
extern const luaL_Reg ks_lua_sharing_methods[];

/* Makes the metatable `name`, with `methods` in it and as its `__index`. A userdata gets its
 * metatable first and the foreign resource second, so that `__gc` covers every way out. */
void ks_lua_register_type(lua_State *L, const char *name, const luaL_Reg *methods);

/* The string argument; it stays alive as long as it is on the stack. Numbers are not taken for
 * strings: their text would be Lua's choice of digits. */
ks_span ks_lua_check_span(lua_State *L, int index);

#endif
