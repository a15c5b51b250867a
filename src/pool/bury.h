/* bury.h - standing in for workers that died. Every step may be repeated, so that the next keeper can go on where one
 * dies in it. */
#ifndef SH_POOL_BURY_H
#define SH_POOL_BURY_H

#include "pool/turn.h"

/* Stand in for the dead process of a place: the item that it ran is lost, the rest of its claim an orphan, the place
 * free. */
void sh_bury_place(struct sh_pool_shared *pool, struct sh_worker *place, struct sh_item_loss loss);

/* A result that the dead member of this place had committed, and not yet handed over, is the job's. Under take. */
void sh_bury_keep_block(struct sh_pool_shared *pool, struct sh_worker *place);

/* Wake whom a keeper that died may have left asleep: all who wait for a job that a worker had last, and an idle worker
 * where there is work. */
void sh_bury_alarm(struct sh_pool_shared *pool);

#endif
