/* The library's version, in the one place where it is written. */
#ifndef KS_VERSION_H
#define KS_VERSION_H

#define KS_VERSION "0.1.0-dev"

#endif
