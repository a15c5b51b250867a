/* lock.h - mutual exclusion between the threads of all processes of a family, robust against their death. */
#ifndef SHOAL_LOCK_H
#define SHOAL_LOCK_H

#include <shoal/base.h>
#include <shoal/ref.h>
#include <sys/types.h>

typedef struct shoal_lock shoal_lock;

enum {
    SHOAL_LOCK_RECURSIVE = 1 << 0,   /* its owner may acquire it again, and releases it as often */
    SHOAL_LOCK_ANY_RELEASE = 1 << 1, /* any process or thread may release it, not its owner alone */
};

struct shoal_lock_options {
    size_t size;       /* SHOAL_OPTIONS(shoal_lock) */
    unsigned flags;    /* SHOAL_LOCK_...; both together are -EINVAL */
    unsigned reserved; /* zero */
};

/* Who holds a lock. */
struct shoal_lock_owner {
    pid_t pid;      /* 0: nobody */
    pid_t tid;      /* thread that acquired it; 0 where the kind of lock does not record it */
    uint32_t depth; /* how often it is held (more than 1 only for recursive ones) */
    int alive;      /* 0: the owner is dead, and the next acquire will say SHOAL_OWNER_DIED */
};

SHOAL_BEGIN

/* Make a lock; options may be NULL. -ENOMEM where the arena is full. */
SHOAL_API int shoal_lock_open(const struct shoal_lock_options *options, shoal_lock **ret_lock);
SHOAL_API int shoal_lock_attach(const shoal_ref *ref, shoal_lock **ret_lock);
SHOAL_API int shoal_lock_ref(const shoal_lock *lock, shoal_ref *ret_ref);

/* Drop this process's handle; NULL is fine. The lock goes with its last handle. Freeing does not release. */
SHOAL_API void shoal_lock_free(shoal_lock *lock);

/* Take the lock. 0, or SHOAL_OWNER_DIED where the last owner died holding it (the lock is yours all the same);
 * -EAGAIN, -ETIMEDOUT; -EDEADLK where the calling thread holds it already and it is neither recursive nor free to
 * be released by others; -EOVERFLOW where a recursive lock is held 2^32 - 1 times. The death of an owner means its
 * process's: a thread that ends while holding a lock leaves it held. */
SHOAL_API int shoal_lock_acquire(shoal_lock *lock, int64_t timeout);

/* Give the lock back. -EPERM where it is not held, or held by another and not of the kind SHOAL_LOCK_ANY_RELEASE. One
 * of that kind whose owner died may be released too, and the next acquire is not told then. */
SHOAL_API int shoal_lock_release(shoal_lock *lock);

SHOAL_API int shoal_lock_owner(const shoal_lock *lock, struct shoal_lock_owner *ret_owner);

SHOAL_END

#endif
