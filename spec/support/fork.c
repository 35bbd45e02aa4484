/* fork, for the specs that look at what a child does with what its parent had: the module
 * keysecure_spec.fork. None of the Luas brings it. */
#define _POSIX_C_SOURCE 200809L

#include "lua/compat.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* fork(): the child's id in the parent, 0 in the child. */
static int fork_fork(lua_State *L) {
    fflush(NULL); /* or the child would write it again */
    lua_pushinteger(L, (lua_Integer)fork());
    return 1;
}

/* exit(status): ends a child, leaving everything it shares with its parent alone. */
static int fork_exit(lua_State *L) {
    fflush(NULL);
    _exit((int)luaL_checkinteger(L, 1));
}

/* wait(id): the child's exit status, or -1 where it ended otherwise. */
static int fork_wait(lua_State *L) {
    int status = 0;
    pid_t child = waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0);
    lua_pushinteger(L, child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return 1;
}

KS_LUA_EXPORT int luaopen_keysecure_spec_fork(lua_State *L);

int luaopen_keysecure_spec_fork(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"fork", fork_fork}, {"exit", fork_exit}, {"wait", fork_wait}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
