/* Where the server's clock is.
 *
 * The platform refuses a Timestamp from its own future or older than 60 s, and machines' clocks are
 * wrong. Every answer's `Date` header, errors included, tells the server's time to the second, and
 * so bounds the distance between its clock and this machine's monotonic one. The bounds narrow as
 * answers come and widen slowly with age, since no two clocks run alike.
 *
 * All times are milliseconds. The caller says what time it is; nothing here asks.
 */
#ifndef KS_CLOCK_H
#define KS_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* This machine's two clocks, read together. `wall` counts from 1970 and may be wrong or jump;
 * `monotonic` counts from anywhere and does neither. */
typedef struct ks_now {
    int64_t monotonic;
    int64_t wall;
} ks_now;

/* How far the server's clock was from this machine's monotonic one, at most or at least, at a
 * moment of the latter. */
typedef struct ks_bound {
    int64_t distance;
    int64_t learnt;
} ks_bound;

typedef struct ks_clock {
    ks_bound earliest;
    ks_bound latest;
    bool known;
} ks_clock;

void ks_clock_init(ks_clock *clock);

/* Takes in an answer: `date` is its Date header in ms, `sent` and `received` the monotonic times
 * around the request. An answer that contradicts what was known replaces it: clocks get set. */
void ks_clock_learn(ks_clock *clock, int64_t sent, int64_t received, int64_t date);

/* The bounds of the server's time now, as far as they are known; false where they aren't. */
bool ks_clock_bounds(const ks_clock *clock, ks_now now, int64_t *earliest, int64_t *latest);

/* Takes in what somebody else knew (`ks_clock_bounds` of another process): the bounds as they were
 * at some moment between the monotonic times `from` and `to`. Only narrows what this clock has
 * learnt by itself; where the two contradict each other, its own word stands. */
void ks_clock_adopt(ks_clock *clock, int64_t from, int64_t to, int64_t earliest, int64_t latest);

/* Forgets what was known, for when the server says that a Timestamp was wrong. */
void ks_clock_distrust(ks_clock *clock);

/* A Timestamp for a request sent now: never in the server's future, as far as answers have told.
 * Before the first answer this machine's clock is taken, set back by half of what the platform
 * tolerates, so that a clock up to about 25 s wrong either way costs nothing. */
int64_t ks_clock_stamp(const ks_clock *clock, ks_now now);

/* A Timestamp that is good for at least `life` ms from now and not for much longer: the platform
 * refuses the request that carries it if it arrives later than that. Before the first answer, and
 * where `life` is more than a new one has, as `ks_clock_stamp`. */
int64_t ks_clock_stamp_expiring(const ks_clock *clock, ks_now now, int64_t life);

/* The latest time it can be on the server now. */
int64_t ks_clock_latest(const ks_clock *clock, ks_now now);

/* Milliseconds of an HTTP date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, IMF-fixdate; the
 * two obsolete forms are not read). False where the text is none. */
bool ks_clock_parse_date(const char *text, size_t size, int64_t *date);

#endif
