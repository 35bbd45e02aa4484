#!/bin/sh
# Starts the example in the foreground. PORT (8080) and the KEYSECURE_… variables say where and with
# which keys; LUA_FOLDERS and LUA_CPATHS, lists of templates with semicolons between, where Lua finds
# what `luarocks --lua-version 5.1` did not install; RESOLVER (that of this machine) and CA_FILE (the
# system's) whom to ask for names and whom to trust.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
nginx=$(command -v openresty || command -v nginx) || {
    echo "run.sh: neither openresty nor nginx is installed" >&2
    exit 1
}
prefix=$(mktemp -d "${TMPDIR:-/tmp}/keysecure-openresty.XXXXXX")

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

resolver=${RESOLVER:-$(awk '$1 == "nameserver" && $2 !~ /:/ { print $2; exit }' /etc/resolv.conf)}
ca_file=${CA_FILE:-}
for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    [ -n "$ca_file" ] || [ ! -f "$file" ] || ca_file=$file
done
{
    echo "lua_package_path '$here/?.lua;${LUA_FOLDERS:+$LUA_FOLDERS;};';"
    echo "lua_package_cpath '${LUA_CPATHS:+$LUA_CPATHS;};';"
    echo "resolver ${resolver:-127.0.0.1} ipv6=off;"
    [ -z "$ca_file" ] || echo "lua_ssl_trusted_certificate $ca_file;"
} >"$prefix/http.local.conf"
echo "listen 127.0.0.1:${PORT:-8080};" >"$prefix/listen.local.conf"
cp "$here/nginx.conf" "$prefix/nginx.conf"

"$nginx" -p "$prefix/" -c "$prefix/nginx.conf" &
pid=$!
trap 'kill -TERM $pid 2>/dev/null; wait $pid 2>/dev/null; rm -rf "$prefix"' EXIT
trap 'exit 0' INT TERM HUP
echo "http://127.0.0.1:${PORT:-8080}/cards"
wait $pid
