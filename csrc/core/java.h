/* The three corners of Java's library that show in a signature made with fastjson 1.x. Each follows
 * Java's published specification of the class that is named. */
#ifndef KS_JAVA_H
#define KS_JAVA_H

#include "core/text.h"

#include <stdint.h>

/* String.hashCode, of well-formed UTF-8: the 31-polynomial over UTF-16 code units. */
uint32_t ks_java_hash(ks_span utf8);

/* The number of buckets of a HashMap that grew to `count` entries. */
size_t ks_java_table_size(size_t count);

/* The bucket of a hash in such a table; iteration goes by bucket, then by age. */
uint32_t ks_java_bucket(uint32_t hash, size_t table_size);

/* Appends BigDecimal.toString of a JSON number: `12.50` stays, `0.0000001` gives `1E-7`. False when
 * its exponent is out of BigDecimal's range, or, with `out->failed` set, when `out` is full. */
bool ks_java_decimal(ks_span lexeme, ks_text *out);

#endif
