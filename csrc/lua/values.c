#include "lua/values.h"

enum { TIME_DIGITS = 15 }; /* all of which a double holds as well */

typedef struct reader {
    lua_State *L;
    const ks_json_node *nodes;
    const char *text;
    ks_text *scratch;
} reader;

static ks_span lexeme_of(const reader *r, uint32_t at) {
    const ks_json_node *node = &r->nodes[at];
    return (ks_span){.data = r->text + node->begin, .size = node->end - node->begin};
}

static void push_string(const reader *r, uint32_t at) {
    ks_span lexeme = lexeme_of(r, at);
    if (!r->nodes[at].escaped) {
        lua_pushlstring(r->L, lexeme.data + 1, lexeme.size - 2);
        return;
    }
    ks_text_clear(r->scratch);
    if (!ks_json_unescape(lexeme, r->scratch))
        luaL_error(r->L, "out of memory");
    lua_pushlstring(r->L, r->scratch->data, r->scratch->size);
}

/* Whether `lexeme` is a whole number that every Lua has; its value in `*value`. */
static bool read_time(ks_span lexeme, int64_t *value) {
    if (lexeme.size > TIME_DIGITS)
        return false;
    *value = 0;
    for (size_t i = 0; i < lexeme.size; i++) {
        if (lexeme.data[i] < '0' || lexeme.data[i] > '9')
            return false;
        *value = *value * 10 + (lexeme.data[i] - '0');
    }
    return true;
}

static void push_number(const reader *r, uint32_t at, bool is_time) {
    ks_span lexeme = lexeme_of(r, at);
    int64_t value;
    if (is_time && read_time(lexeme, &value))
        ks_lua_push_int64(r->L, value);
    else
        lua_pushlstring(r->L, lexeme.data, lexeme.size);
}

static void push_value(const reader *r, uint32_t at, bool is_time);

static void push_array(const reader *r, uint32_t array) {
    int index = 0;
    lua_newtable(r->L);
    for (uint32_t at = array + 1; at < r->nodes[array].next; at = r->nodes[at].next) {
        push_value(r, at, false);
        lua_rawseti(r->L, -2, ++index);
    }
}

static bool is_time_key(const reader *r, uint32_t at) {
    static const char name[] = "\"time\"";
    ks_span lexeme = lexeme_of(r, at);
    return lexeme.size == sizeof name - 1 && memcmp(lexeme.data, name, sizeof name - 1) == 0;
}

static int count_members(const reader *r, uint32_t object) {
    int count = 0;
    for (uint32_t at = object + 1; at < r->nodes[object].next; at = r->nodes[at + 1].next)
        count++;
    return count;
}

static void push_object(const reader *r, uint32_t object) {
    lua_createtable(r->L, 0, count_members(r, object));
    for (uint32_t at = object + 1; at < r->nodes[object].next; at = r->nodes[at + 1].next) {
        push_string(r, at);
        if (r->nodes[at + 1].type == KS_JSON_NULL)
            lua_pushnil(r->L);
        else
            push_value(r, at + 1, is_time_key(r, at));
        lua_rawset(r->L, -3);
    }
}

/* Recursive, to the depth that the scanner let pass: KS_JSON_DEPTH_MAX. */
static void push_value(const reader *r, uint32_t at, bool is_time) {
    luaL_checkstack(r->L, 3, "JSON");
    switch (r->nodes[at].type) {
    case KS_JSON_OBJECT:
        push_object(r, at);
        break;
    case KS_JSON_ARRAY:
        push_array(r, at);
        break;
    case KS_JSON_STRING:
        push_string(r, at);
        break;
    case KS_JSON_NUMBER:
        push_number(r, at, is_time);
        break;
    case KS_JSON_TRUE:
    case KS_JSON_FALSE:
        lua_pushboolean(r->L, r->nodes[at].type == KS_JSON_TRUE);
        break;
    default:
        lua_pushlightuserdata(r->L, NULL);
    }
}

void ks_lua_push_json(lua_State *L, const ks_json_tape *tape, const char *text, uint32_t node,
                      ks_text *scratch) {
    reader r = {.L = L, .nodes = tape->nodes, .text = text, .scratch = scratch};
    push_value(&r, node, false);
}
