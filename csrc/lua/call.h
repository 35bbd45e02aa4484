/* What keysecure.core and keysecure.curl know of each other. */
#ifndef KS_LUA_CALL_H
#define KS_LUA_CALL_H

#include "core/version.h"

/* A userdata of this type is a ks_call, which begins with a ks_request (wire.h). The version is in
 * the name, so that modules of two versions refuse each other's. */
#define KS_LUA_CALL_TYPE "keysecure.core.call " KS_VERSION

#endif
