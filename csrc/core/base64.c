#include "core/base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool ks_base64_encode(const void *data, size_t size, ks_text *out) {
    const unsigned char *byte = data;
    if (size > SIZE_MAX / 4 || !ks_text_reserve(out, (size + 2) / 3 * 4)) {
        out->failed = true;
        return false;
    }
    for (size_t left = size; left > 0; byte += 3) {
        size_t taken = left < 3 ? left : 3;
        uint32_t bits = (uint32_t)byte[0] << 16;
        bits |= taken > 1 ? (uint32_t)byte[1] << 8 : 0;
        bits |= taken > 2 ? (uint32_t)byte[2] : 0;
        char quad[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                        taken > 1 ? digits[bits >> 6 & 63] : '=',
                        taken > 2 ? digits[bits & 63] : '='};
        ks_text_append(out, quad, sizeof quad);
        left -= taken;
    }
    return true;
}

/* The value of a digit, or 64 for anything else. */
static inline uint32_t digit_value(char c) {
    /* 1 + value, so that what is not listed is 0. */
    static const uint8_t values[256] = {
        ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,
        ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
        ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
        ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
        ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
        ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
        ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
        ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
        ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
        ['/'] = 64,
    };
    uint8_t value = values[(unsigned char)c];
    return value > 0 ? value - 1U : 64;
}

static inline bool read_quad(const char digit[4], char bytes[3]) {
    uint32_t a = digit_value(digit[0]), b = digit_value(digit[1]);
    uint32_t c = digit_value(digit[2]), d = digit_value(digit[3]);
    uint32_t bits = a << 18 | b << 12 | c << 6 | d;
    bytes[0] = (char)(bits >> 16 & 255);
    bytes[1] = (char)(bits >> 8 & 255);
    bytes[2] = (char)(bits & 255);
    return (a | b | c | d) < 64;
}

bool ks_base64_decode(const char *base64, size_t size, ks_text *out) {
    if (size % 4 != 0)
        return false;
    if (size == 0)
        return true;
    if (!ks_text_reserve(out, size / 4 * 3))
        return false;

    size_t padding = base64[size - 1] != '=' ? 0 : base64[size - 2] != '=' ? 1 : 2;
    size_t whole = padding > 0 ? size - 4 : size;
    char *to = out->data + out->size;
    for (size_t i = 0; i < whole; i += 4, to += 3) {
        if (!read_quad(base64 + i, to))
            return false;
    }
    if (padding > 0) {
        char last[4] = {base64[whole], base64[whole + 1], padding > 1 ? 'A' : base64[whole + 2],
                        'A'};
        char bytes[3];
        if (!read_quad(last, bytes) || bytes[2] != 0 || (padding > 1 && bytes[1] != 0))
            return false;
        memcpy(to, bytes, 3 - padding);
    }
    out->size += size / 4 * 3 - padding;
    return true;
}
