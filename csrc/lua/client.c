/* core.client and its calls: csrc/core/call.h for Lua. Times come in as milliseconds of this
 * machine's two clocks, monotonic and wall, as `core.now()` returns them. */
#include "core/call.h"
#include "core/forks.h"
#include "lua/core.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>

#define CLIENT_TYPE "keysecure.core.client"
#define CALL_TYPE   KS_LUA_CALL_TYPE
#define BUDGET_TYPE "keysecure.core.budget"

/* In the registry: the budget of all clients of this Lua state that were given no other. Where a
 * process has several states, as nginx's workers may, each has its own. */
#define SHARED_BUDGET "keysecure.core.shared_budget"

typedef struct client_box {
    ks_client *client;
    unsigned forks; /* of the process that used it last */
    bool carried;   /* keysecure.curl takes requests out of the calls */
} client_box;

typedef struct budget_box {
    ks_retry *retry;
} budget_box;

typedef struct call_box {
    ks_call call; /* first: see lua/call.h */
    bool carried;
} call_box;

/* Arguments ----------------------------------------------------------------------------------- */

static ks_span opt_span(lua_State *L, int index) {
    ks_span span = {NULL, 0};
    if (!lua_isnoneornil(L, index))
        span.data = luaL_checklstring(L, index, &span.size);
    return span;
}

/* The string stays alive as a field of the table at `index`. */
static ks_span field_span(lua_State *L, int index, const char *name) {
    ks_span span = {NULL, 0};
    lua_getfield(L, index, name);
    if (lua_type(L, -1) == LUA_TSTRING)
        span.data = lua_tolstring(L, -1, &span.size);
    lua_pop(L, 1);
    return span;
}

static ks_now check_now(lua_State *L, int index) {
    ks_now now = {(int64_t)luaL_checknumber(L, index), (int64_t)luaL_checknumber(L, index + 1)};
    return now;
}

/* Budget -------------------------------------------------------------------------------------- */

/* Any number will do, as long as processes get different ones. */
static uint64_t draw_seed(void) {
    uint64_t seed = 0;
    if (RAND_bytes((unsigned char *)&seed, sizeof seed) != 1)
        ERR_clear_error();
    return seed;
}

static void push_budget(lua_State *L, uint64_t seed) {
    budget_box *box = lua_newuserdata(L, sizeof *box);
    box->retry = NULL;
    luaL_setmetatable(L, BUDGET_TYPE);
    box->retry = ks_retry_new(seed);
    if (box->retry == NULL)
        luaL_error(L, "no memory");
}

static void push_shared_budget(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, SHARED_BUDGET);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    push_budget(L, draw_seed());
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, SHARED_BUDGET);
}

/* core.budget(seed|nil): a retry budget for clients to share; without a seed one is drawn. */
static int budget_new(lua_State *L) {
    push_budget(L, lua_isnoneornil(L, 1) ? draw_seed() : (uint64_t)(int64_t)luaL_checknumber(L, 1));
    return 1;
}

static int budget_gc(lua_State *L) {
    budget_box *box = luaL_checkudata(L, 1, BUDGET_TYPE);
    ks_retry_release(box->retry);
    box->retry = NULL;
    return 0;
}

static ks_retry *check_budget(lua_State *L, int index) {
    budget_box *box = luaL_checkudata(L, index, BUDGET_TYPE);
    luaL_argcheck(L, box->retry != NULL, index, "the budget is closed");
    return box->retry;
}

/* budget:left() */
static int budget_left(lua_State *L) {
    lua_pushinteger(L, check_budget(L, 1)->tokens);
    return 1;
}

/* budget:spend(): takes what a retry costs; false where there isn't so much. */
static int budget_spend(lua_State *L) {
    lua_pushboolean(L, ks_retry_spend(check_budget(L, 1), KS_RETRY_COST));
    return 1;
}

/* budget:earn(retries): puts back what so many retries have cost, up to the capacity. */
static int budget_earn(lua_State *L) {
    lua_Integer retries = luaL_checkinteger(L, 2);
    luaL_argcheck(L, retries >= 0, 2, "a number of retries expected");
    if (retries > KS_RETRY_CAPACITY) /* of a call that lasted for long: more than fill it */
        retries = KS_RETRY_CAPACITY;
    ks_retry_earn(check_budget(L, 1), (int32_t)retries * KS_RETRY_COST);
    return 0;
}

static int budget_tostring(lua_State *L) {
    lua_pushliteral(L, "keysecure.core budget");
    return 1;
}

/* core.shared_budget(): the one that clients share unless told otherwise. */
static int budget_shared(lua_State *L) {
    push_shared_budget(L);
    return 1;
}

/* Client -------------------------------------------------------------------------------------- */

/* core.client{ address=, api_key=, language=, secret=, budget=, carried= }; without a budget, the
 * shared one, and without the secret the token is not shared. With `carried` its calls build no
 * requests for Lua: they are handed to `engine:carry` of keysecure.curl. */
static int client_new(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    client_box *box = lua_newuserdata(L, sizeof *box);
    *box = (client_box){.forks = ks_forks()};
    luaL_setmetatable(L, CLIENT_TYPE);
    ks_client_options options = {
        .address = field_span(L, 1, "address"),
        .api_key = field_span(L, 1, "api_key"),
        .language = field_span(L, 1, "language"),
        .secret = field_span(L, 1, "secret"),
    };
    lua_getfield(L, 1, "carried");
    box->carried = lua_toboolean(L, -1);
    lua_pop(L, 1);
    lua_getfield(L, 1, "budget");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        push_shared_budget(L);
    }
    options.retry = check_budget(L, -1);
    box->client = ks_client_new(&options);
    lua_pop(L, 1);
    if (box->client == NULL)
        return luaL_error(L, "no memory, or an option of more than %d bytes", KS_CLIENT_OPTION_MAX);
    return 1;
}

static int client_gc(lua_State *L) {
    client_box *box = luaL_checkudata(L, 1, CLIENT_TYPE);
    ks_client_release(box->client);
    box->client = NULL;
    return 0;
}

static ks_client *check_client(lua_State *L) {
    client_box *box = luaL_checkudata(L, 1, CLIENT_TYPE);
    luaL_argcheck(L, box->client != NULL, 1, "the client is closed");
    if (box->forks != ks_forks()) {
        box->forks = ks_forks();
        ks_client_forked(box->client, draw_seed());
    }
    return box->client;
}

/* client:clock_snapshot(monotonic, wall): the bounds of the server's time now, Unix milliseconds;
 * nothing where no answer has told yet. For a token store, to be shared with other processes. */
static int client_clock_snapshot(lua_State *L) {
    int64_t earliest, latest;
    if (!ks_clock_bounds(&check_client(L)->clock, check_now(L, 2), &earliest, &latest))
        return 0;
    lua_pushnumber(L, (lua_Number)earliest);
    lua_pushnumber(L, (lua_Number)latest);
    return 2;
}

/* client:clock_adopt(earliest, latest, from, to|nil): what another process's snapshot said at some
 * moment between two monotonic times of this machine (at `from` exactly, without `to`). Whoever
 * hands it over must know when that was: by a clock that both share. */
static int client_clock_adopt(lua_State *L) {
    ks_client *client = check_client(L);
    int64_t earliest = (int64_t)luaL_checknumber(L, 2), latest = (int64_t)luaL_checknumber(L, 3);
    int64_t from = (int64_t)luaL_checknumber(L, 4);
    int64_t to = lua_isnoneornil(L, 5) ? from : (int64_t)luaL_checknumber(L, 5);
    ks_clock_adopt(&client->clock, from, to, earliest, latest);
    return 0;
}

/* client:store_key(): under which its token is shared; nothing where it isn't. */
static int client_store_key(lua_State *L) {
    const ks_client *client = check_client(L);
    if (!client->shares)
        return 0;
    lua_pushlstring(L, client->seal.name, sizeof client->seal.name);
    return 1;
}

static int client_tostring(lua_State *L) {
    lua_pushliteral(L, "keysecure.core client");
    return 1;
}

/* Call ---------------------------------------------------------------------------------------- */

/* A call to begin: the closed one at `index`, where there is one. A userdata with a finalizer is
 * the dearest thing that a call leaves to the collector. */
static call_box *push_call(lua_State *L, int index) {
    if (lua_isnoneornil(L, index)) {
        call_box *box = lua_newuserdata(L, sizeof *box);
        *box = (call_box){0};
        luaL_setmetatable(L, CALL_TYPE);
        return box;
    }
    call_box *box = luaL_checkudata(L, index, CALL_TYPE);
    luaL_argcheck(L, box->call.client == NULL, index, "the call is not closed");
    lua_pushvalue(L, index);
    return box;
}

/* client:call(method, path, body|nil, auth, write, timeout_ms, monotonic, wall,
 *             timezone|nil, header|nil, header_value|nil, settles|nil, closed|nil)
 * `closed`: a call that is over, to be used again. */
static int client_call(lua_State *L) {
    static const char *const auths[] = {"none", "key", "token", NULL};
    ks_client *client = check_client(L);
    ks_call_options options = {
        .method = opt_span(L, 2),
        .path = opt_span(L, 3),
        .body = opt_span(L, 4),
        .auth = (ks_call_auth)luaL_checkoption(L, 5, NULL, auths),
        .write = lua_toboolean(L, 6),
        .timeout = (int64_t)luaL_checknumber(L, 7),
        .timezone = opt_span(L, 10),
        .extra = {opt_span(L, 11), opt_span(L, 12)},
        .settles = lua_toboolean(L, 13),
    };
    ks_now now = check_now(L, 8);
    call_box *box = push_call(L, 14);
    *box = (call_box){.carried = ((const client_box *)lua_touserdata(L, 1))->carried};
    if (!ks_call_init(&box->call, client, &options, now))
        return luaL_error(L, "no memory, or a request of more than %d bytes", KS_CALL_REQUEST_MAX);
    return 1;
}

static int call_gc(lua_State *L) {
    ks_call_cleanup(luaL_checkudata(L, 1, CALL_TYPE));
    return 0;
}

static ks_call *check_call(lua_State *L) {
    ks_call *call = luaL_checkudata(L, 1, CALL_TYPE);
    luaL_argcheck(L, call->client != NULL, 1, "the call is closed");
    return call;
}

static void set_span(lua_State *L, const char *name, ks_span span) {
    lua_pushlstring(L, span.data, span.size);
    lua_setfield(L, -2, name);
}

/* The request that transports are given: see lua/keysecure/transport/curl.lua. */
static void push_request(lua_State *L, const ks_request *request) {
    lua_createtable(L, 0, 5);
    set_span(L, "method", request->method);
    set_span(L, "url", request->url);
    if (request->body.data != NULL)
        set_span(L, "body", request->body);
    lua_pushnumber(L, (lua_Number)request->timeout_ms / 1000);
    lua_setfield(L, -2, "timeout");
    lua_createtable(L, 0, (int)request->header_count);
    for (size_t i = 0; i < request->header_count; i++) {
        const ks_header *header = &request->headers[i];
        lua_pushlstring(L, header->name.data, header->name.size);
        lua_pushlstring(L, header->value.data, header->value.size);
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, "headers");
}

static void push_integer_or_nil(lua_State *L, int value) {
    if (value == 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, value);
}

static void set_integer(lua_State *L, const char *name, int value) {
    push_integer_or_nil(L, value);
    lua_setfield(L, -2, name);
}

static const char *const kinds[] = {"", "api", "transport", "timeout", "protocol", "cancelled"};
static const char *const outcomes[] = {"not_sent", "refused", "unknown"};

static void push_fault(lua_State *L, const ks_call *call) {
    const ks_fault *fault = &call->fault;
    lua_createtable(L, 0, 8);
    lua_pushstring(L, kinds[fault->kind]);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, outcomes[fault->outcome]);
    lua_setfield(L, -2, "outcome");
    lua_pushstring(L, fault->message);
    lua_setfield(L, -2, "message");
    lua_pushinteger(L, call->attempts);
    lua_setfield(L, -2, "attempts");
    ks_lua_push_int64(L, call->waited);
    lua_setfield(L, -2, "waited");
    if (call->stamped != 0) {
        ks_lua_push_int64(L, call->stamped);
        lua_setfield(L, -2, "timestamp");
    }
    set_integer(L, "code", fault->code);
    set_integer(L, "http_status", fault->http_status);
}

/* What to do next:
 *   "send", request (none where it is carried); at once, before another call is told anything
 *   "wait", until (monotonic ms), for_token (ask again when another call has ended a step)
 *   "seek": a token that another process may have; "share": what came of a fetch (sharing.c)
 *   "done", true, data as JSON text or nil, attempts, ms of pauses between them
 *   "done", false, what failed (the fields of an error) */
static int push_next(lua_State *L, ks_call *call, ks_now now) {
    ks_step step;
    switch (ks_call_next(call, now, &step)) {
    case KS_CALL_SEND:
        lua_pushliteral(L, "send");
        if (((const call_box *)call)->carried)
            return 1;
        push_request(L, &call->request);
        return 2;
    case KS_CALL_WAIT:
        lua_pushliteral(L, "wait");
        lua_pushnumber(L, (lua_Number)step.until);
        lua_pushboolean(L, step.wait_for_token);
        return 3;
    case KS_CALL_SEEK:
        lua_pushliteral(L, "seek");
        return 1;
    case KS_CALL_SHARE:
        lua_pushliteral(L, "share");
        return 1;
    case KS_CALL_DONE:
        break;
    }
    lua_pushliteral(L, "done");
    lua_pushboolean(L, call->succeeded);
    if (!call->succeeded) {
        push_fault(L, call);
        return 3;
    }
    if (call->data.data != NULL)
        lua_pushlstring(L, call->data.data, call->data.size);
    else
        lua_pushnil(L);
    call->data = (ks_span){0}; /* the answer's body is not ours to keep */
    lua_pushinteger(L, call->attempts);
    ks_lua_push_int64(L, call->waited);
    return 5;
}

/* call:next(monotonic, wall) */
static int call_next(lua_State *L) {
    return push_next(L, check_call(L), check_now(L, 2));
}

/* call:answered(monotonic, wall, status, body, date|nil, retry_after|nil), then as `next` */
static int call_answered(lua_State *L) {
    ks_call *call = check_call(L);
    ks_now now = check_now(L, 2);
    ks_answer answer = {
        .status = (int)luaL_checknumber(L, 4),
        .body = opt_span(L, 5),
        .date = opt_span(L, 6),
        .retry_after = opt_span(L, 7),
    };
    ks_call_answered(call, now, &answer);
    return push_next(L, call, now);
}

static ks_loss loss_of(const char *reason) {
    static const struct {
        const char *reason;
        ks_loss loss;
    } known[] = {
        {"timeout", KS_LOSS_TIMEOUT},     {"protocol", KS_LOSS_GARBLED},
        {"tls", KS_LOSS_LASTING},         {"too_large", KS_LOSS_LASTING},
        {"memory", KS_LOSS_LASTING},      {"invalid", KS_LOSS_LASTING},
        {"cancelled", KS_LOSS_CANCELLED}, {"closed", KS_LOSS_CANCELLED},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(reason, known[i].reason) == 0)
            return known[i].loss;
    }
    return KS_LOSS_PASSING;
}

/* Silence about how far it got means that it may have got anywhere, and so does a word that is not
 * one of ours. */
static ks_reached reached_of(const char *reached) {
    static const char *const words[] = {
        [KS_REACHED_NOTHING] = "nothing",     [KS_REACHED_RESOLVED] = "resolved",
        [KS_REACHED_CONNECTED] = "connected", [KS_REACHED_SECURED] = "secured",
        [KS_REACHED_SENDING] = "sending",     [KS_REACHED_SENT] = "sent",
        [KS_REACHED_ANSWERING] = "answering",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(reached, words[i]) == 0)
            return (ks_reached)i;
    }
    return KS_REACHED_UNSAID;
}

/* call:failed(monotonic, wall, reason, reached|nil, message|nil), then as `next` */
static int call_failed(lua_State *L) {
    ks_call *call = check_call(L);
    ks_now now = check_now(L, 2);
    const char *reason = luaL_optstring(L, 4, "");
    ks_failure failure = {
        .loss = loss_of(reason),
        .reached = reached_of(luaL_optstring(L, 5, "")),
        .message = opt_span(L, 6),
    };
    if (failure.message.size == 0)
        failure.message = (ks_span){reason, strlen(reason)};
    ks_call_failed(call, now, &failure);
    return push_next(L, call, now);
}

/* call:cancel(), then as `next` */
static int call_cancel(lua_State *L) {
    ks_call *call = check_call(L);
    ks_call_cancel(call);
    return push_next(L, call, (ks_now){0});
}

/* call:last(): what came of the last request: whether it was for a token, which of them it was, the
 * outcome ("done" or as in an error), milliseconds, then kind, code, HTTP status, each nil where
 * there is none. */
static int call_last(lua_State *L) {
    const ks_attempt *last = &check_call(L)->last;
    bool failed = last->kind != KS_FAULT_NONE;
    lua_pushboolean(L, last->token);
    lua_pushinteger(L, last->number);
    lua_pushstring(L, failed ? outcomes[last->outcome] : "done");
    ks_lua_push_int64(L, last->milliseconds);
    if (failed)
        lua_pushstring(L, kinds[last->kind]);
    else
        lua_pushnil(L);
    push_integer_or_nil(L, last->code);
    push_integer_or_nil(L, last->http_status);
    return 7;
}

static int call_tostring(lua_State *L) {
    lua_pushliteral(L, "keysecure.core call");
    return 1;
}

void ks_lua_open_client(lua_State *L) {
    static const luaL_Reg client_methods[] = {
        {"call", client_call},
        {"clock_snapshot", client_clock_snapshot},
        {"clock_adopt", client_clock_adopt},
        {"store_key", client_store_key},
        {"__gc", client_gc},
        {"__tostring", client_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg call_methods[] = {
        {"next", call_next},     {"answered", call_answered}, {"failed", call_failed},
        {"last", call_last},     {"close", call_gc},          {"__tostring", call_tostring},
        {"cancel", call_cancel}, {"__gc", call_gc},           {NULL, NULL},
    };
    static const luaL_Reg budget_methods[] = {
        {"left", budget_left},           {"spend", budget_spend}, {"earn", budget_earn},
        {"__tostring", budget_tostring}, {"__gc", budget_gc},     {NULL, NULL},
    };
    ks_lua_register_type(L, CLIENT_TYPE, client_methods);
    ks_lua_register_type(L, CALL_TYPE, call_methods);
    luaL_getmetatable(L, CALL_TYPE);
    luaL_setfuncs(L, ks_lua_sharing_methods, 0);
    lua_pop(L, 1);
    ks_lua_register_type(L, BUDGET_TYPE, budget_methods);
    lua_pushcfunction(L, client_new);
    lua_setfield(L, -2, "client");
    lua_pushcfunction(L, budget_new);
    lua_setfield(L, -2, "budget");
    lua_pushcfunction(L, budget_shared);
    lua_setfield(L, -2, "shared_budget");
}
