/* submit.h - putting a job together and into the list. */
#ifndef SH_POOL_SUBMIT_H
#define SH_POOL_SUBMIT_H

#include "pool/pool.h"

/* What is submitted: count items, either of size bytes each, side by side, or each with its own (parts), or in a block
 * as the job will have them (pool/job.h), which is the job's on success. */
struct sh_submission {
    shoal_task_function *function; /* NULL: a binding's, word names it */
    uint64_t word;
    uint64_t block; /* 0: none */
    uint64_t block_size;
    uint32_t block_flags; /* SH_JOB_SIZES ... */
    const void *items;
    size_t size;
    const struct shoal_bytes *parts;
    size_t count;
    size_t chunk;
    size_t result_size; /* what most results will have; 0: not known */
    int64_t timeout;    /* for room; SHOAL_FOREVER: no bound */
    shoal_future_callback *callback;
    void *context;
};

/* -ENOENT where the function needs a name; -ENOMEM, -ENOSPC, -EPIPE after close, -ENOEXEC where the pool was given up,
 * -EAGAIN, -ETIMEDOUT. */
int sh_submit(shoal_pool *pool, const struct sh_submission *submission, shoal_future **ret_future);

#endif
