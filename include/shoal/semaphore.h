/* semaphore.h - a count of permits shared by a family. */
#ifndef SHOAL_SEMAPHORE_H
#define SHOAL_SEMAPHORE_H

#include <shoal/base.h>
#include <shoal/ref.h>

typedef struct shoal_semaphore shoal_semaphore;

enum {
    /* A permit is a resource: who took it holds it, and its death gives it back. At most 65,535 permits; releasing
     * one that this process does not hold is -EPERM. Without this flag a permit is a signal, may be released by
     * anybody, and the count stays as it is when somebody dies. */
    SHOAL_SEMAPHORE_OWNED = 1 << 0,
};

struct shoal_semaphore_options {
    size_t size;      /* SHOAL_OPTIONS(shoal_semaphore) */
    unsigned flags;   /* SHOAL_SEMAPHORE_... */
    uint32_t value;   /* permits at the beginning */
    uint32_t maximum; /* bound; 0: 2^31 - 1 for a plain one, value for an owned one */
};

SHOAL_BEGIN

/* Make a semaphore. -EINVAL where value is above maximum, or an owned one has no permits or too many. */
SHOAL_API int shoal_semaphore_open(const struct shoal_semaphore_options *options, shoal_semaphore **ret_semaphore);
SHOAL_API int shoal_semaphore_attach(const shoal_ref *ref, shoal_semaphore **ret_semaphore);
SHOAL_API int shoal_semaphore_ref(const shoal_semaphore *semaphore, shoal_ref *ret_ref);
SHOAL_API void shoal_semaphore_free(shoal_semaphore *semaphore);

/* Take one permit. 0, or SHOAL_OWNER_DIED where an owned permit came back from the dead; -EAGAIN, -ETIMEDOUT. */
SHOAL_API int shoal_semaphore_acquire(shoal_semaphore *semaphore, int64_t timeout);

/* Give count permits (at least 1). -EOVERFLOW where that would pass the maximum; -EPERM see SHOAL_SEMAPHORE_OWNED. */
SHOAL_API int shoal_semaphore_release(shoal_semaphore *semaphore, uint32_t count);

/* Permits free now. */
SHOAL_API int shoal_semaphore_value(const shoal_semaphore *semaphore, uint32_t *ret_value);

SHOAL_END

#endif
