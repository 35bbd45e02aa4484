/* core.cipher: csrc/core/cipher.h for Lua. Strings that Lua made are Lua's to free: what is wiped
 * are our own copies. */
#include "core/cipher.h"

#include "lua/core.h"

#define CIPHER_TYPE "keysecure.core.cipher"

typedef struct cipher_box {
    ks_cipher *cipher;
    ks_text result; /* plaintext or Base64 on its way to Lua, here so that no error loses it */
} cipher_box;

/* core.cipher(secret, encoding): a cipher; or nil and the number of bytes that the secret gives in
 * this encoding, which AES does not take; or nil alone, when it is not written in it. */
static int cipher_new(lua_State *L) {
    static const char *const names[] = {"utf8", "base64", "hex", NULL};
    ks_span secret = ks_lua_check_span(L, 1);
    ks_cipher_encoding encoding = (ks_cipher_encoding)luaL_checkoption(L, 2, NULL, names);

    cipher_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->cipher = NULL;
    ks_text_init(&box->result, KS_CIPHER_BASE64_MAX, KS_TEXT_SECRET);
    luaL_setmetatable(L, CIPHER_TYPE);

    ks_text key;
    ks_text_init(&key, secret.size, KS_TEXT_SECRET);
    bool readable = ks_cipher_key_read(secret.data, secret.size, encoding, &key);
    bool failed = key.failed, fits = ks_cipher_key_fits(key.size);
    size_t size = key.size;
    if (readable && fits)
        box->cipher = ks_cipher_new(key.data, key.size);
    ks_text_cleanup(&key);

    if (box->cipher != NULL)
        return 1;
    if (failed || (readable && fits))
        return luaL_error(L, "%s", ks_cipher_reason(KS_CIPHER_UNAVAILABLE));
    lua_pushnil(L);
    if (!readable)
        return 1;
    ks_lua_push_int64(L, (int64_t)size);
    return 2;
}

static int cipher_gc(lua_State *L) {
    cipher_box *box = luaL_checkudata(L, 1, CIPHER_TYPE);
    ks_cipher_free(box->cipher);
    box->cipher = NULL;
    ks_text_cleanup(&box->result);
    return 0;
}

static cipher_box *check_cipher(lua_State *L) {
    cipher_box *box = luaL_checkudata(L, 1, CIPHER_TYPE);
    luaL_argcheck(L, box->cipher != NULL, 1, "the cipher is closed");
    return box;
}

/* Pushes the result, or nil and the reason. */
static int push_result(lua_State *L, cipher_box *box, ks_cipher_status status) {
    if (status == KS_CIPHER_OK) {
        lua_pushlstring(L, box->result.data, box->result.size);
        ks_text_recycle(&box->result, 4096);
        return 1;
    }
    ks_text_clear(&box->result);
    lua_pushnil(L);
    lua_pushstring(L, ks_cipher_reason(status));
    return 2;
}

/* cipher:encrypt(text): Base64, or nil and why. */
static int cipher_encrypt(lua_State *L) {
    cipher_box *box = check_cipher(L);
    ks_span plain = ks_lua_check_span(L, 2);
    ks_text_clear(&box->result);
    return push_result(L, box,
                       ks_cipher_encrypt(box->cipher, plain.data, plain.size, &box->result));
}

/* cipher:decrypt(base64): the text, or nil and why. */
static int cipher_decrypt(lua_State *L) {
    cipher_box *box = check_cipher(L);
    ks_span base64 = ks_lua_check_span(L, 2);
    ks_text_clear(&box->result);
    return push_result(L, box,
                       ks_cipher_decrypt(box->cipher, base64.data, base64.size, &box->result));
}

static int cipher_tostring(lua_State *L) {
    lua_pushliteral(L, "keysecure.core cipher");
    return 1;
}

void ks_lua_open_cipher(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"encrypt", cipher_encrypt},
        {"decrypt", cipher_decrypt},
        {"__gc", cipher_gc},
        {"__tostring", cipher_tostring},
        {NULL, NULL},
    };
    ks_lua_register_type(L, CIPHER_TYPE, methods);
    lua_pushcfunction(L, cipher_new);
    lua_setfield(L, -2, "cipher");
}
