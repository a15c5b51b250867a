/* error.h - what the library's error codes mean, in sentences and in Python's exceptions. */
#ifndef SH_BASE_ERROR_H
#define SH_BASE_ERROR_H

struct sh_error {
    const char *text;      /* a sentence in the library's own terms */
    const char *exception; /* Python's exception for it, where the caller has no closer one */
};

/* The entry for a negative return value; never NULL: codes that the table does not name share one entry. */
const struct sh_error *sh_error_find(int error);

#endif
