/* Files that are one user's business: small texts in a directory that nobody else may enter, for
 * lua/keysecure/token_store/file.lua. Everything is looked up from the directory once it has been
 * opened and found private, and no symbolic link is followed inside it, so that nobody can slip
 * another file under a name. */
#define _POSIX_C_SOURCE  200809L
#define _DEFAULT_SOURCE  /* flock, of the GNU libc … */
#define _DARWIN_C_SOURCE /* … and of macOS */

#include "lua/core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TYPE "keysecure.core.lock"

enum { NAME_MAX_SIZE = 64, TEXT_MAX = 16 * 1024, LOCK_TRIES = 100, LOCK_PAUSE = 2 /* ms */ };

static const char new_suffix[] = ".new";

/* nil and what went wrong with what. */
static int fail(lua_State *L, const char *what, int error) {
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", what, strerror(error));
    return 2;
}

static bool is_ours(int file, mode_t kind) {
    struct stat about;
    return fstat(file, &about) == 0 && (about.st_mode & S_IFMT) == kind &&
           about.st_uid == geteuid() && (about.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

/* A descriptor, or -1 and a message on the stack. A missing directory is made; not its parents. */
static int open_directory(lua_State *L, const char *path) {
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int directory = open(path, flags);
    if (directory < 0 && errno == ENOENT && (mkdir(path, S_IRWXU) == 0 || errno == EEXIST))
        directory = open(path, flags);
    if (directory < 0) {
        lua_pushfstring(L, "directory: %s", strerror(errno));
        return -1;
    }
    if (!is_ours(directory, S_IFDIR)) {
        close(directory);
        lua_pushliteral(L,
                        "directory: must belong to this user and be closed to others (chmod 700)");
        return -1;
    }
    return directory;
}

/* The directory and the name that every function here begins with. */
static int open_arguments(lua_State *L, const char **name) {
    const char *path = luaL_checkstring(L, 1);
    size_t size;
    *name = luaL_checklstring(L, 2, &size);
    luaL_argcheck(L, size > 0 && size <= NAME_MAX_SIZE && strchr(*name, '/') == NULL, 2,
                  "a plain file name expected");
    return open_directory(L, path);
}

static int no_directory(lua_State *L) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

/* Reading ------------------------------------------------------------------------------------- */

/* Bytes read, or -1 where there are more than `room` or it can't be done. */
static ssize_t read_all(int file, char *text, size_t room) {
    size_t size = 0;
    ssize_t got;
    do {
        got = read(file, text + size, room - size);
        if (got > 0)
            size += (size_t)got;
    } while ((got > 0 && size < room) || (got < 0 && errno == EINTR));
    return got < 0 || size == room ? -1 : (ssize_t)size;
}

/* core.private_read(directory, name): the text; nil where there is none that is ours alone; or nil
 * and why the directory can't be used. */
static int private_read(lua_State *L) {
    const char *name;
    char text[TEXT_MAX + 1];
    int directory = open_arguments(L, &name);
    if (directory < 0)
        return no_directory(L);
    /* Not to hang on a FIFO that somebody has put there. */
    int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    close(directory);
    if (file < 0)
        return 0;
    ssize_t size = is_ours(file, S_IFREG) ? read_all(file, text, sizeof text) : -1;
    close(file);
    if (size < 0)
        return 0;
    lua_pushlstring(L, text, (size_t)size);
    return 1;
}

/* Writing ------------------------------------------------------------------------------------- */

static bool write_all(int file, ks_span text) {
    while (text.size > 0) {
        ssize_t written = write(file, text.data, text.size);
        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            text.data += written;
            text.size -= (size_t)written;
        }
    }
    return true;
}

/* Writes a file that was not there. It need not outlast a loss of power, so nobody waits for the
 * disk: a torn one is not believed by those who read it. */
static bool write_new(int directory, const char *name, ks_span text) {
    int file = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                      S_IRUSR | S_IWUSR);
    if (file < 0)
        return false;
    bool good = write_all(file, text);
    int error = errno;
    if (close(file) != 0 && good) {
        good = false;
        error = errno;
    }
    errno = error;
    return good;
}

static bool replace(int directory, const char *name, ks_span text) {
    char fresh[NAME_MAX_SIZE + sizeof new_suffix];
    snprintf(fresh, sizeof fresh, "%s%s", name, new_suffix);
    unlinkat(directory, fresh, 0); /* of somebody who was killed */
    if (write_new(directory, fresh, text) && renameat(directory, fresh, directory, name) == 0)
        return true;
    int error = errno;
    unlinkat(directory, fresh, 0);
    errno = error;
    return false;
}

/* core.private_write(directory, name, text): true, or nil and why not. Readers see the old text or
 * the new one. Writers must exclude each other (private_lock). */
static int private_write(lua_State *L) {
    const char *name;
    ks_span text = ks_lua_check_span(L, 3);
    luaL_argcheck(L, text.size <= TEXT_MAX, 3, "too long");
    int directory = open_arguments(L, &name);
    if (directory < 0)
        return no_directory(L);
    bool good = replace(directory, name, text);
    int error = errno;
    close(directory);
    if (!good)
        return fail(L, name, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* core.private_remove(directory, name): true, also where there was none; or nil and why not. */
static int private_remove(lua_State *L) {
    const char *name;
    int directory = open_arguments(L, &name);
    if (directory < 0)
        return no_directory(L);
    bool good = unlinkat(directory, name, 0) == 0 || errno == ENOENT;
    int error = errno;
    close(directory);
    if (!good)
        return fail(L, name, error);
    lua_pushboolean(L, 1);
    return 1;
}

/* Locking ------------------------------------------------------------------------------------- */

typedef struct lock_box {
    int file;
} lock_box;

/* A lock lasts for a few system calls; whoever holds one longer has been stopped in the middle. */
static bool lock(int file) {
    const struct timespec pause = {0, LOCK_PAUSE * 1000000L};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(file, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return false;
        nanosleep(&pause, NULL);
    }
    errno = EBUSY;
    return false;
}

/* core.private_lock(directory, name): a lock that no other process has, or nil and why not. The
 * system ends it with its holder; `lock:release()` does so before. The file stays. */
static int private_lock(lua_State *L) {
    const char *name;
    lock_box *box = lua_newuserdata(L, sizeof *box);
    box->file = -1;
    luaL_setmetatable(L, LOCK_TYPE);
    int directory = open_arguments(L, &name);
    if (directory < 0)
        return no_directory(L);
    box->file = openat(directory, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                       S_IRUSR | S_IWUSR);
    int error = errno;
    close(directory);
    if (box->file < 0)
        return fail(L, name, error);
    if (!is_ours(box->file, S_IFREG))
        return fail(L, name, EPERM);
    if (!lock(box->file))
        return fail(L, name, errno);
    lua_pushvalue(L, -1);
    return 1;
}

static int lock_release(lua_State *L) {
    lock_box *box = luaL_checkudata(L, 1, LOCK_TYPE);
    if (box->file >= 0)
        close(box->file);
    box->file = -1;
    return 0;
}

void ks_lua_open_private(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"release", lock_release}, {"__gc", lock_release}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"private_read", private_read},
        {"private_write", private_write},
        {"private_remove", private_remove},
        {"private_lock", private_lock},
        {NULL, NULL},
    };
    ks_lua_register_type(L, LOCK_TYPE, methods);
    luaL_setfuncs(L, functions, 0);
}
