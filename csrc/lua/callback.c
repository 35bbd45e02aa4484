/* core.verifier: csrc/core/callback.h for Lua. */
#include "core/callback.h"

#include "lua/core.h"
#include "lua/values.h"

#define VERIFIER_TYPE "keysecure.core.verifier"

typedef struct verifier_box {
    ks_verifier *verifier;
    ks_text scratch;
} verifier_box;

static verifier_box *new_box(lua_State *L) {
    verifier_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->verifier = NULL;
    ks_text_init(&box->scratch, KS_CANONICAL_DATA_MAX, KS_TEXT_PLAIN);
    luaL_setmetatable(L, VERIFIER_TYPE);
    return box;
}

/* Adds the app_id (or nil) and the secret at `index`; answers what is on the top of the stack. */
static int add_key(lua_State *L, verifier_box *box, int index) {
    ks_span app_id = {0};
    if (!lua_isnil(L, index))
        app_id = ks_lua_check_span(L, index);
    ks_span secret = ks_lua_check_span(L, index + 1);
    luaL_argcheck(L, secret.size > 0, index + 1, "the secret is empty");
    if (box->verifier == NULL || !ks_verifier_add(box->verifier, app_id, secret))
        return luaL_error(L, "more than %d keys, or no memory, or libcrypto failed",
                          KS_VERIFIER_KEYS_MAX);
    return 1;
}

/* core.verifier(app_id, secret) */
static int verifier_new(lua_State *L) {
    ks_lua_check_span(L, 1);
    verifier_box *box = new_box(L);
    box->verifier = ks_verifier_new();
    return add_key(L, box, 1);
}

static verifier_box *check_verifier(lua_State *L) {
    verifier_box *box = luaL_checkudata(L, 1, VERIFIER_TYPE);
    luaL_argcheck(L, box->verifier != NULL, 1, "the verifier is closed");
    return box;
}

/* verifier:with(app_id|nil, secret): another one, which knows that key too; nil stands for the
 * app_id of the first. */
static int verifier_with(lua_State *L) {
    verifier_box *known = check_verifier(L);
    lua_settop(L, 3);
    verifier_box *box = new_box(L);
    box->verifier = ks_verifier_copy(known->verifier);
    return add_key(L, box, 2);
}

static int verifier_gc(lua_State *L) {
    verifier_box *box = luaL_checkudata(L, 1, VERIFIER_TYPE);
    ks_verifier_free(box->verifier);
    box->verifier = NULL;
    ks_text_cleanup(&box->scratch);
    return 0;
}

static int push_refusal(lua_State *L, ks_signature_status status, const ks_json_fault *fault) {
    if (status == KS_SIGNATURE_UNAVAILABLE)
        return luaL_error(L, "%s", ks_signature_reason(status));
    lua_pushnil(L);
    if (status == KS_SIGNATURE_BAD_DATA) {
        lua_pushfstring(L, "%s (at byte %d)", fault->reason, (int)fault->offset + 1);
        lua_pushliteral(L, "data");
    } else {
        lua_pushstring(L, ks_signature_reason(status));
        lua_pushliteral(L, "signature");
    }
    return 3;
}

/* A member that is missing, or null, is nil. */
static void push_member(lua_State *L, const ks_callback *callback, const char *body, uint32_t node,
                        ks_text *scratch) {
    if (node == 0 || callback->tape->nodes[node].type == KS_JSON_NULL)
        lua_pushnil(L);
    else
        ks_lua_push_json(L, callback->tape, body, node, scratch);
}

/* verifier:read(body, signature, timestamp): data as a table, its text, id, action; or nil, why,
 * and whose fault it is: "data" or "signature". */
static int verifier_read(lua_State *L) {
    verifier_box *box = check_verifier(L);
    ks_posted posted = {
        .body = ks_lua_check_span(L, 2),
        .signature = ks_lua_check_span(L, 3),
        .timestamp = ks_lua_check_span(L, 4),
    };
    ks_callback callback;
    ks_json_fault fault;
    ks_signature_status status = ks_verifier_read(box->verifier, &posted, &callback, &fault);
    if (status != KS_SIGNATURE_OK)
        return push_refusal(L, status, &fault);

    const char *body = posted.body.data;
    const ks_json_node *data = &callback.tape->nodes[callback.data];
    ks_text_recycle(&box->scratch, KS_SIGNATURE_KEPT);
    ks_lua_push_json(L, callback.tape, body, callback.data, &box->scratch);
    lua_pushlstring(L, body + data->begin, data->end - data->begin);
    push_member(L, &callback, body, callback.id, &box->scratch);
    push_member(L, &callback, body, callback.action, &box->scratch);
    return 4;
}

static int verifier_tostring(lua_State *L) {
    lua_pushliteral(L, "keysecure.core verifier");
    return 1;
}

void ks_lua_open_callback(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"with", verifier_with},
        {"read", verifier_read},
        {"__gc", verifier_gc},
        {"__tostring", verifier_tostring},
        {NULL, NULL},
    };
    ks_lua_register_type(L, VERIFIER_TYPE, methods);
    lua_pushcfunction(L, verifier_new);
    lua_setfield(L, -2, "verifier");
}
