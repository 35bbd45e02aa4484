#!/bin/sh
# Starts the authorizer in the foreground. PORT (8080), REDIS_ADDRESS (127.0.0.1:6379) and the
# KEYSECURE_… variables say where and with which keys; LUA_FOLDERS and LUA_CPATHS, separated by
# semicolons, where Lua finds what `luarocks --lua-version 5.1` did not install.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
prefix=$(mktemp -d "${TMPDIR:-/tmp}/authorizer.XXXXXX")
nginx=$(command -v openresty || command -v nginx) || {
    echo "run.sh: neither openresty nor nginx is installed" >&2
    exit 1
}

JOURNAL=${JOURNAL:-$here/authorizations.jsonl}
export JOURNAL

# OpenResty has its Lua built in; Debian's nginx loads it.
: >"$prefix/main.local.conf"
for module in ndk_http_module ngx_http_lua_module; do
    file=/usr/lib/nginx/modules/$module.so
    case $nginx in
    *openresty*) ;;
    *) [ ! -f "$file" ] || echo "load_module $file;" >>"$prefix/main.local.conf" ;;
    esac
done
[ "$(id -u)" -ne 0 ] || echo 'user root;' >>"$prefix/main.local.conf"

{
    echo "lua_package_path '$here/?.lua;${LUA_FOLDERS:+$LUA_FOLDERS;};';"
    echo "lua_package_cpath '${LUA_CPATHS:+$LUA_CPATHS;};';"
} >"$prefix/http.local.conf"
echo "listen 127.0.0.1:${PORT:-8080} backlog=1024;" >"$prefix/listen.local.conf"
cp "$here/nginx.conf" "$prefix/nginx.conf"

"$nginx" -p "$prefix/" -c "$prefix/nginx.conf" &
pid=$!
trap 'kill -TERM $pid 2>/dev/null; wait $pid 2>/dev/null; rm -rf "$prefix"' EXIT
trap 'exit 0' INT TERM HUP
wait $pid
