/* Standard Base64 (RFC 4648 section 4), strict: the alphabet with `+` and `/`, padding where it
 * belongs, no whitespace, no bits set behind the data. One text has one spelling. */
#ifndef KS_BASE64_H
#define KS_BASE64_H

#include "core/text.h"

/* Appends the Base64 of the data. False when `out` could not take it. */
bool ks_base64_encode(const void *data, size_t size, ks_text *out);

/* Appends the data behind the Base64. False when it is not Base64, or, with `out->failed` set, when
 * `out` could not take it; nothing is appended then. */
bool ks_base64_decode(const char *base64, size_t size, ks_text *out);

#endif
