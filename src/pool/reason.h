/* reason.h - why an item has no result, in words. */
#ifndef SH_POOL_REASON_H
#define SH_POOL_REASON_H

#include "pool/shared.h"

/* The error code of an item whose record has this head; 0 where it has a result. Not for SH_ITEM_OPEN. */
int sh_reason_code(const struct sh_item *item, uint64_t head);

/* All that is known of an item that has no result. */
void sh_reason_tell(const struct sh_item *item, uint64_t head, uint64_t number, struct shoal_task_error *ret_error);

/* Of one that never ran: -ECANCELED or -ENOEXEC. */
int sh_reason_of_pool(struct sh_pool_shared *pool);
void sh_reason_tell_of_pool(struct sh_pool_shared *pool, int was_cancelled, uint64_t number,
                            struct shoal_task_error *ret_error);

#endif
