/* shoal.h - everything shoal offers to C programs: include this, or one noun's header.
 *
 * What holds for every function, unless its own comment says otherwise:
 *
 *  - It returns 0 or a count on success and -errno on failure. A negative return means that nothing was
 *    acquired and nothing changed; out parameters, named ret_..., are written only on success.
 *  - Timeouts are relative, in nanoseconds. SHOAL_FOREVER waits without a limit; zero and anything negative (a
 *    moment already past) never wait: what cannot be had at once is -EAGAIN. A timeout that passes is -ETIMEDOUT.
 *  - A call that waits may return -EINTR after a signal handler ran in its thread, installed with SA_RESTART or not:
 *    handle what the signal asks for, and call again.
 *  - NULL where an object is needed, unknown flags and unknown option bits are -EINVAL.
 *  - A handle (struct shoal_queue and so on) belongs to one process and may be used by all of its threads. After
 *    fork the child's copy of a handle is its own, from the child's first call on: should the object be gone by then,
 *    the calls return -ESTALE. To give an object to a process that has no handle, send a
 *    shoal_ref (see ref.h): 24 bytes that any process of the family can attach to.
 *  - Whoever dies, at whatever instruction, blocks nobody. Where the next one should know, a call returns
 *    SHOAL_OWNER_DIED, which is positive: it succeeded, and the process before it died in the middle.
 */
#ifndef SHOAL_SHOAL_H
#define SHOAL_SHOAL_H

#include <shoal/arena.h>
#include <shoal/barrier.h>
#include <shoal/base.h>
#include <shoal/condition.h>
#include <shoal/event.h>
#include <shoal/lock.h>
#include <shoal/pipe.h>
#include <shoal/pool.h>
#include <shoal/process.h>
#include <shoal/queue.h>
#include <shoal/ref.h>
#include <shoal/semaphore.h>

#endif
