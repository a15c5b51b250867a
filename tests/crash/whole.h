/* whole.h - whether the arena is as it was before somebody died in it. */
#ifndef CRASH_WHOLE_H
#define CRASH_WHOLE_H

#include "sweep.h"

/* Make a family whose arena is small, so that a kill point costs little. Agent, first in setup. */
void whole_open(void);

/* Remember what is in use. Agent, last in setup. */
void whole_note(void);

/* Reclaim what the dead held; fail where an invariant of the arena or of an object is broken, or more is in use than
 * whole_note found. Agent, in check: when what the operation may have left in good order has been taken out. */
void whole_check(void);

/* A call returned what it must, else the point ends with this verdict. */
#define CRASH_EQ(verdict, call, expected) whole_compare(verdict, __LINE__, #call, (long)(call), (long)(expected))
void whole_compare(enum crash_verdict verdict, int line, const char *call, long is, long expected);

/* A blocking call of the agent that returned -ETIMEDOUT was stuck; with another value than expected things are torn. */
#define CRASH_RETURNS(call, expected) whole_return(__LINE__, #call, (long)(call), (long)(expected))
void whole_return(int line, const char *call, long is, long expected);

/* How long calls of the agent may take that must not block. */
#define WHOLE_LIMIT SHOAL_SECONDS(2)

#endif
