/* barrier.h - a place where a fixed number of processes or threads wait for each other. */
#ifndef SHOAL_BARRIER_H
#define SHOAL_BARRIER_H

#include <shoal/base.h>
#include <shoal/ref.h>

typedef struct shoal_barrier shoal_barrier;

SHOAL_BEGIN

/* Make a barrier for this many parties (1 to 65,535). */
SHOAL_API int shoal_barrier_open(uint32_t parties, shoal_barrier **ret_barrier);
SHOAL_API int shoal_barrier_attach(const shoal_ref *ref, shoal_barrier **ret_barrier);
SHOAL_API int shoal_barrier_ref(const shoal_barrier *barrier, shoal_ref *ret_ref);
SHOAL_API void shoal_barrier_free(shoal_barrier *barrier);

/* Wait until all parties are here. Returns this party's number, 0 to parties - 1, a different one for each. -EPIPE
 * where the barrier is broken: aborted, a party's wait timed out, or a party died while it waited. A party whose own
 * time ran out gets -ETIMEDOUT (-EAGAIN where it had none and was not the last) and breaks the barrier for the others;
 * -ECANCELED where it was reset while this party waited. */
SHOAL_API int shoal_barrier_wait(shoal_barrier *barrier, int64_t timeout);

/* Break it: all who wait, and all who come, get -EPIPE. Reset makes it whole and empty again. */
SHOAL_API int shoal_barrier_abort(shoal_barrier *barrier);
SHOAL_API int shoal_barrier_reset(shoal_barrier *barrier);

SHOAL_API int shoal_barrier_parties(const shoal_barrier *barrier, uint32_t *ret_parties);
SHOAL_API int shoal_barrier_waiting(const shoal_barrier *barrier, uint32_t *ret_waiting);
/* 1 where it is broken, else 0. */
SHOAL_API int shoal_barrier_is_broken(const shoal_barrier *barrier);

SHOAL_END

#endif
