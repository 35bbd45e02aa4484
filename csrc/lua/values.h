/* JSON that was read onto a tape, as Lua values that lose nothing. */
#ifndef KS_LUA_VALUES_H
#define KS_LUA_VALUES_H

#include "core/json.h"
#include "lua/compat.h"

/* Pushes the value at a node. Numbers become the text that stands there, because a double forgets
 * digits; the integer of a member named `time` becomes an integer. A null member is left out, as in
 * what is signed; a null in an array is the light userdata NULL, which is cjson.null and ngx.null.
 * `scratch` is for unescaping and belongs to something Lua collects: this may raise. */
void ks_lua_push_json(lua_State *L, const ks_json_tape *tape, const char *text, uint32_t node,
                      ks_text *scratch);

#endif
