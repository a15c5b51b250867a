/* condition.h - wait until another process says that something changed. */
#ifndef SHOAL_CONDITION_H
#define SHOAL_CONDITION_H

#include <shoal/base.h>
#include <shoal/lock.h>
#include <shoal/ref.h>

typedef struct shoal_condition shoal_condition;

SHOAL_BEGIN

SHOAL_API int shoal_condition_open(shoal_condition **ret_condition);
SHOAL_API int shoal_condition_attach(const shoal_ref *ref, shoal_condition **ret_condition);
SHOAL_API int shoal_condition_ref(const shoal_condition *condition, shoal_ref *ret_ref);
SHOAL_API void shoal_condition_free(shoal_condition *condition);

/* Release the lock (fully, where it is recursive), wait for a notification, take the lock again, all waiters of a
 * condition using one lock. The lock is held on every return but -EPERM (the caller did not hold it) and -EINVAL.
 * 0 when notified; SHOAL_OWNER_DIED when notified and the lock's last owner died holding it; -ETIMEDOUT, -EAGAIN
 * when not notified (taking the lock again is not bounded by the timeout). -ENOMEM where a waiter cannot be
 * recorded: nothing was released. */
SHOAL_API int shoal_condition_wait(shoal_condition *condition, shoal_lock *lock, int64_t timeout);

/* Wake up to count waiters, those that wait longest first; dead ones do not count. Returns how many were woken.
 * The caller should hold the lock. */
SHOAL_API int shoal_condition_notify(shoal_condition *condition, uint32_t count);
SHOAL_API int shoal_condition_notify_all(shoal_condition *condition);

/* How many wait now and have not been notified. */
SHOAL_API int shoal_condition_waiters(const shoal_condition *condition, uint32_t *ret_waiters);

SHOAL_END

#endif
