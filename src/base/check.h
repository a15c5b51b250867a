/* check.h - invariants of shared structs, as functions that say which one is broken.
 *
 * A check function returns 0, or -EILSEQ after it has noted the first equation that does not hold: tests call it after
 * every step and print the note; the inspection tool does too. */
#ifndef SH_BASE_CHECK_H
#define SH_BASE_CHECK_H

#include <errno.h>

/* What the last failed check of this thread found, as "file:line: expression"; "" where none failed. */
extern _Thread_local const char *sh_check_note;

#define SH_CHECK_TEXT_(x) #x
#define SH_CHECK_TEXT(x) SH_CHECK_TEXT_(x)

/* In a check function: the equation must hold. */
#define SH_HOLDS(expression)                                                                                           \
    do {                                                                                                               \
        if (!(expression)) {                                                                                           \
            sh_check_note = __FILE__ ":" SH_CHECK_TEXT(__LINE__) ": " #expression;                                     \
            return -EILSEQ;                                                                                            \
        }                                                                                                              \
    } while (0)

#endif
