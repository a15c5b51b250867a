/* reclaim.h - taking back what dead processes held. */
#ifndef SH_ARENA_RECLAIM_H
#define SH_ARENA_RECLAIM_H

#include <stdint.h>

/* Look for dead members and take back all they held: blocks, attachments, what objects lent them. Cheap where nobody
 * died: a load for each member. Does nothing where another is at it. Returns how many members it buried. Nothing may be
 * held by the caller. */
int sh_reclaim_dead(void);

/* The same, and wait for another that is at it: when it returns, what died before the call is reclaimed. */
int sh_reclaim_wait(void);

#endif
