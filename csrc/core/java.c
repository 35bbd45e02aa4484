#include "core/java.h"

uint32_t ks_java_hash(ks_span utf8) {
    uint32_t hash = 0;
    for (size_t i = 0; i < utf8.size;) {
        const unsigned char *byte = (const unsigned char *)utf8.data + i;
        if (byte[0] < 0x80) {
            hash = hash * 31 + byte[0];
            i += 1;
        } else if (byte[0] < 0xE0) {
            hash = hash * 31 + ((byte[0] & 0x1FU) << 6 | (byte[1] & 0x3FU));
            i += 2;
        } else if (byte[0] < 0xF0) {
            hash =
                hash * 31 + ((byte[0] & 0x0FU) << 12 | (byte[1] & 0x3FU) << 6 | (byte[2] & 0x3FU));
            i += 3;
        } else {
            uint32_t point = (byte[0] & 0x07U) << 18 | (byte[1] & 0x3FU) << 12 |
                             (byte[2] & 0x3FU) << 6 | (byte[3] & 0x3FU);
            hash = hash * 31 + (0xD800 + ((point - 0x10000) >> 10));
            hash = hash * 31 + (0xDC00 + (point & 0x3FF));
            i += 4;
        }
    }
    return hash;
}

size_t ks_java_table_size(size_t count) {
    size_t size = 16;
    while (count > size / 4 * 3)
        size *= 2;
    return size;
}

uint32_t ks_java_bucket(uint32_t hash, size_t table_size) {
    return (hash ^ hash >> 16) & (uint32_t)(table_size - 1);
}

/* The value is digits * 10^-scale. */
typedef struct decimal {
    bool negative;
    ks_span mantissa; /* from its first digit that is not zero; the point may be inside */
    int64_t count;    /* of its digits */
    int64_t scale;
} decimal;

static bool read_exponent(const char *at, const char *end, int64_t *exponent) {
    bool negative = *at == '-';
    int64_t value = 0;
    if (*at == '-' || *at == '+')
        at++;
    for (; at < end; at++) {
        value = value * 10 + (*at - '0');
        if (value > (int64_t)INT32_MAX + 1)
            return false;
    }
    *exponent = negative ? -value : value;
    return *exponent <= INT32_MAX;
}

static bool read_decimal(ks_span lexeme, decimal *d) {
    const char *at = lexeme.data, *end = lexeme.data + lexeme.size, *first = NULL;
    bool in_fraction = false;
    int64_t exponent = 0, fraction = 0;

    *d = (decimal){.negative = *at == '-'};
    if (d->negative)
        at++;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            in_fraction = true;
            continue;
        }
        if (first == NULL && *at != '0')
            first = at;
        d->count += first != NULL;
        fraction += in_fraction;
    }
    if (first != NULL) {
        d->mantissa = (ks_span){.data = first, .size = (size_t)(at - first)};
    } else { /* zero has a scale, but no sign */
        d->mantissa = (ks_span){.data = "0", .size = 1};
        d->count = 1;
        d->negative = false;
    }
    if (at < end && !read_exponent(at + 1, end, &exponent))
        return false;
    d->scale = fraction - exponent;
    return d->scale >= INT32_MIN && d->scale <= INT32_MAX;
}

/* Appends the digits, with a point behind the first `whole` of them when that is inside. */
static void write_digits(ks_text *out, const decimal *d, int64_t whole) {
    int64_t index = 0;
    for (size_t i = 0; i < d->mantissa.size; i++) {
        if (d->mantissa.data[i] == '.')
            continue;
        if (index == whole && whole > 0)
            ks_text_append_byte(out, '.');
        ks_text_append_byte(out, d->mantissa.data[i]);
        index++;
    }
}

static void write_integer(ks_text *out, int64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    ks_text_append(out, digits + at, sizeof digits - at);
}

bool ks_java_decimal(ks_span lexeme, ks_text *out) {
    decimal d;
    if (!read_decimal(lexeme, &d))
        return false;
    int64_t exponent = d.count - 1 - d.scale; /* of the first digit */

    if (d.negative)
        ks_text_append_byte(out, '-');
    if (d.scale < 0 || exponent < -6) {
        write_digits(out, &d, 1);
        ks_text_append(out, exponent < 0 ? "E-" : "E+", 2);
        write_integer(out, exponent < 0 ? -exponent : exponent);
    } else {
        if (d.scale >= d.count)
            ks_text_append(out, "0.00000", 2 + (size_t)(d.scale - d.count));
        write_digits(out, &d, d.scale > 0 ? d.count - d.scale : 0);
    }
    return !out->failed;
}
