#include "core/clock.h"

#include <string.h>

enum {
    RESOLUTION = 1000,     /* a Date header says the second, not where in it */
    DRIFT = 5000,          /* clocks are taken to part by one millisecond in so many: 200 ppm */
    MARGIN = 1000,         /* servers of one fleet may disagree by this much */
    TOLERATED_AGE = 60000, /* of a Timestamp; its tolerated future is nothing [P] */
    UNKNOWN_MARGIN = 25000
};

void ks_clock_init(ks_clock *clock) {
    *clock = (ks_clock){0};
}

/* How far the clocks can have parted since. */
static int64_t drift(int64_t from, int64_t to) {
    return to > from ? (to - from + DRIFT - 1) / DRIFT : 0;
}

static int64_t earliest_at(const ks_bound *bound, int64_t monotonic) {
    return bound->distance - drift(bound->learnt, monotonic);
}

static int64_t latest_at(const ks_bound *bound, int64_t monotonic) {
    return bound->distance + drift(bound->learnt, monotonic);
}

/* Keeps of each bound the one that says more, seen from the moment of the later one; false where
 * they can't both be true. */
static bool narrow(ks_clock *clock, ks_bound earliest, ks_bound latest) {
    int64_t at = earliest.learnt;
    if (clock->earliest.learnt > at)
        at = clock->earliest.learnt;
    if (clock->latest.learnt > at)
        at = clock->latest.learnt;
    int64_t known_earliest = earliest_at(&clock->earliest, at);
    int64_t known_latest = latest_at(&clock->latest, at);
    if (known_earliest > latest_at(&latest, at) || known_latest < earliest_at(&earliest, at))
        return false;
    if (earliest_at(&earliest, at) > known_earliest)
        clock->earliest = earliest;
    if (latest_at(&latest, at) < known_latest)
        clock->latest = latest;
    return true;
}

/* Between `from` and `to` the server's clock was between two times. */
static bool take(ks_clock *clock, int64_t from, int64_t to, int64_t least, int64_t most) {
    ks_bound earliest = {least - to, to}, latest = {most - from, to};
    if (clock->known)
        return narrow(clock, earliest, latest);
    *clock = (ks_clock){.earliest = earliest, .latest = latest, .known = true};
    return true;
}

void ks_clock_learn(ks_clock *clock, int64_t sent, int64_t received, int64_t date) {
    if (!take(clock, sent, received, date, date + RESOLUTION)) {
        clock->known = false;
        take(clock, sent, received, date, date + RESOLUTION);
    }
}

void ks_clock_adopt(ks_clock *clock, int64_t from, int64_t to, int64_t earliest, int64_t latest) {
    if (from <= to && earliest <= latest)
        take(clock, from, to, earliest, latest);
}

bool ks_clock_bounds(const ks_clock *clock, ks_now now, int64_t *earliest, int64_t *latest) {
    if (!clock->known)
        return false;
    *earliest = now.monotonic + earliest_at(&clock->earliest, now.monotonic);
    *latest = now.monotonic + latest_at(&clock->latest, now.monotonic);
    return true;
}

void ks_clock_distrust(ks_clock *clock) {
    clock->known = false;
}

int64_t ks_clock_stamp(const ks_clock *clock, ks_now now) {
    int64_t earliest, latest;
    if (!ks_clock_bounds(clock, now, &earliest, &latest))
        return now.wall - UNKNOWN_MARGIN;
    return earliest - MARGIN;
}

int64_t ks_clock_stamp_expiring(const ks_clock *clock, ks_now now, int64_t life) {
    int64_t earliest, latest;
    if (!ks_clock_bounds(clock, now, &earliest, &latest))
        return ks_clock_stamp(clock, now);
    int64_t young = earliest - MARGIN, expiring = latest + MARGIN + life - TOLERATED_AGE;
    return expiring < young ? expiring : young;
}

int64_t ks_clock_latest(const ks_clock *clock, ks_now now) {
    int64_t earliest, latest;
    return ks_clock_bounds(clock, now, &earliest, &latest) ? latest : now.wall;
}

/* Reads `count` digits at `text`; -1 where there is anything else. */
static int digits(const char *text, size_t count) {
    int value = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static int month_of(const char *text) {
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++) {
        if (memcmp(names + 3 * i, text, 3) == 0)
            return i + 1;
    }
    return -1;
}

/* Days from 1970-01-01, with March as a year's first month so that the leap day is its last. */
static int64_t days_of(int year, int month, int day) {
    if (month <= 2) {
        year -= 1;
        month += 12;
    }
    int64_t leaps = year / 4 - year / 100 + year / 400;
    return (int64_t)365 * year + leaps + (153 * (month - 3) + 2) / 5 + day - 719469;
}

bool ks_clock_parse_date(const char *text, size_t size, int64_t *date) {
    /*                           0123456789012345678901234567 */
    static const char shape[] = "###, ## ### #### ##:##:## GMT";
    if (size != sizeof shape - 1)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (shape[i] != '#' && shape[i] != text[i])
            return false;
    }
    int day = digits(text + 5, 2), month = month_of(text + 8), year = digits(text + 12, 4);
    int hour = digits(text + 17, 2), minute = digits(text + 20, 2), second = digits(text + 23, 2);
    if (day < 1 || day > 31 || month < 1 || year < 1970 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60)
        return false;
    int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    *date = seconds * 1000;
    return true;
}
