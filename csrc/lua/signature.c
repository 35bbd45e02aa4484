/* core.signer and core.canonical: csrc/core/signature.h for Lua. */
#include "core/signature.h"

#include "lua/core.h"

#define SIGNER_TYPE    "keysecure.core.signer"
#define CANONICAL_TYPE "keysecure.core.canonical"

typedef struct signer_box {
    ks_signer *signer;
} signer_box;

typedef struct canonical_box {
    ks_canonical *canonical;
    ks_text text;
} canonical_box;

static ks_order check_order(lua_State *L, int index) {
    static const char *const names[] = {"document", "hash", NULL};
    return luaL_checkoption(L, index, NULL, names) == 0 ? KS_ORDER_DOCUMENT : KS_ORDER_HASH;
}

/* nil, why, and "data" or "signature" for whose fault it is. */
static int push_bad_data(lua_State *L, const ks_json_fault *fault) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s (at byte %d)", fault->reason, (int)fault->offset + 1);
    lua_pushliteral(L, "data");
    return 3;
}

static int push_failure(lua_State *L, ks_signature_status status, const ks_json_fault *fault) {
    if (status == KS_SIGNATURE_BAD_DATA)
        return push_bad_data(L, fault);
    if (status == KS_SIGNATURE_UNAVAILABLE)
        return luaL_error(L, "%s", ks_signature_reason(status));
    lua_pushnil(L);
    lua_pushstring(L, ks_signature_reason(status));
    lua_pushliteral(L, "signature");
    return 3;
}

/* Signer ------------------------------------------------------------------------------------- */

/* core.signer(secret) */
static int signer_new(lua_State *L) {
    ks_span secret = ks_lua_check_span(L, 1);
    luaL_argcheck(L, secret.size > 0, 1, "the secret is empty");
    signer_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->signer = NULL;
    luaL_setmetatable(L, SIGNER_TYPE);
    box->signer = ks_signer_new(secret.data, secret.size);
    if (box->signer == NULL)
        return luaL_error(L, "%s", ks_signature_reason(KS_SIGNATURE_UNAVAILABLE));
    return 1;
}

static int signer_gc(lua_State *L) {
    signer_box *box = luaL_checkudata(L, 1, SIGNER_TYPE);
    ks_signer_free(box->signer);
    box->signer = NULL;
    return 0;
}

static ks_signer *check_signer(lua_State *L) {
    signer_box *box = luaL_checkudata(L, 1, SIGNER_TYPE);
    luaL_argcheck(L, box->signer != NULL, 1, "the signer is closed");
    return box->signer;
}

/* signer:sign(data, app_id, timestamp, order): hex, or nil, why, "data". */
static int signer_sign(lua_State *L) {
    ks_signer *signer = check_signer(L);
    ks_signed what = {
        .data = ks_lua_check_span(L, 2),
        .app_id = ks_lua_check_span(L, 3),
        .timestamp = ks_lua_check_span(L, 4),
    };
    ks_order order = check_order(L, 5);
    char hex[KS_SIGNATURE_SIZE];
    ks_json_fault fault;
    ks_signature_status status = ks_signer_sign(signer, &what, order, hex, &fault);
    if (status != KS_SIGNATURE_OK)
        return push_failure(L, status, &fault);
    lua_pushlstring(L, hex, sizeof hex);
    return 1;
}

/* signer:verify(data, hex, app_id, timestamp): true, or nil, why, and whose fault it is. */
static int signer_verify(lua_State *L) {
    ks_signer *signer = check_signer(L);
    ks_span hex = ks_lua_check_span(L, 3);
    ks_signed what = {
        .data = ks_lua_check_span(L, 2),
        .app_id = ks_lua_check_span(L, 4),
        .timestamp = ks_lua_check_span(L, 5),
    };
    ks_json_fault fault;
    ks_signature_status status = ks_signer_verify(signer, &what, hex.data, hex.size, &fault);
    if (status != KS_SIGNATURE_OK)
        return push_failure(L, status, &fault);
    lua_pushboolean(L, 1);
    return 1;
}

static int signer_tostring(lua_State *L) {
    lua_pushliteral(L, "keysecure.core signer");
    return 1;
}

/* The canonical text alone -------------------------------------------------------------------- */

static void release(canonical_box *box) {
    ks_canonical_free(box->canonical);
    box->canonical = NULL;
    ks_text_cleanup(&box->text);
}

static int canonical_gc(lua_State *L) {
    release(luaL_checkudata(L, 1, CANONICAL_TYPE));
    return 0;
}

/* core.canonical(data, app_id, timestamp, order): the text, or nil, why, "data". Made for looking
 * at, not for speed, so it keeps no working memory. */
static int canonical(lua_State *L) {
    ks_span data = ks_lua_check_span(L, 1);
    ks_span app_id = ks_lua_check_span(L, 2);
    ks_span timestamp = ks_lua_check_span(L, 3);
    ks_order order = check_order(L, 4);

    canonical_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->canonical = NULL;
    ks_text_init(&box->text, KS_CANONICAL_MAX, KS_TEXT_PLAIN);
    luaL_setmetatable(L, CANONICAL_TYPE);
    box->canonical = ks_canonical_new();
    if (box->canonical == NULL)
        return luaL_error(L, "%s", ks_signature_reason(KS_SIGNATURE_UNAVAILABLE));

    ks_json_fault fault;
    if (!ks_canonical_read(box->canonical, data, &fault) ||
        !ks_canonical_write(box->canonical, app_id, timestamp, order, &box->text, &fault))
        return push_bad_data(L, &fault);
    lua_pushlstring(L, box->text.data, box->text.size);
    release(box); /* at once: the text may be megabytes, which Lua's collector does not see */
    return 1;
}

void ks_lua_open_signature(lua_State *L) {
    static const luaL_Reg signer_methods[] = {
        {"sign", signer_sign}, {"verify", signer_verify},
        {"__gc", signer_gc},   {"__tostring", signer_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg canonical_methods[] = {
        {"__gc", canonical_gc},
        {NULL, NULL},
    };
    ks_lua_register_type(L, SIGNER_TYPE, signer_methods);
    ks_lua_register_type(L, CANONICAL_TYPE, canonical_methods);
    lua_pushcfunction(L, signer_new);
    lua_setfield(L, -2, "signer");
    lua_pushcfunction(L, canonical);
    lua_setfield(L, -2, "canonical");
}
