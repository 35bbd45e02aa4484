/* Whether this process is still the one that made something: what is kept in memory survives a
 * fork, what it stands for (a request under way, a descriptor, a random state) is the parent's.
 */
#ifndef KS_FORKS_H
#define KS_FORKS_H

/* How many forks lie between the process that asked first and this one. */
unsigned ks_forks(void);

#endif
