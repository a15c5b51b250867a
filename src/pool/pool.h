/* pool.h - this process's handle of a pool: what main keeps in private memory, and what its files do for each other. */
#ifndef SH_POOL_POOL_H
#define SH_POOL_POOL_H

#include "pool/shared.h"

#include <pthread.h>
#include <shoal/pool.h>
#include <shoal/queue.h>
#include <stdint.h>

struct sh_crew;
struct sh_names;

/* The submitter's side of a job. It lies in a table beside the job's slot, so making one allocates nothing.
 *
 * Under the pool's `put`: next, and all flags. */
struct shoal_future {
    shoal_pool *pool;
    struct sh_job *job;
    uint32_t index;
    uint32_t generation;
    uint32_t next;        /* in free, limbo, or called: index; 0: none */
    uint8_t is_listed;    /* the job was submitted LISTED, or made so: it is free only after it was collected */
    uint8_t is_collected; /* and has been */
    uint8_t is_dropped;   /* by the user */
    uint8_t is_called;    /* its callback was called, or there is none */
    shoal_future_callback *callback;
    void *context;
};

/* A list of futures, by index. */
struct sh_future_list {
    uint32_t first, last;
};

/* Under `put`: free, limbo, ready, references, and futures. references: the user's handle, each future, each iterator.
 * The rest is written while the pool is opened. */
struct shoal_pool {
    struct sh_pool_shared *shared;
    uint32_t epoch;                /* of the process that opened it */
    uint32_t free;                 /* slots that may be used again, last in first out */
    struct sh_future_list limbo;   /* slots that may be once head has passed them */
    struct sh_future_list ready;   /* futures whose callbacks are due */
    uint32_t tail;                 /* slot of the last job linked */
    _Atomic uint32_t listed;       /* jobs that are LISTED and not collected */
    _Atomic uint32_t due;          /* futures in ready */
    _Atomic uint32_t finisher_cpu; /* where the last job that this process saw ended was ended */
    uint64_t references;
    _Atomic uint32_t is_freed; /* by the user: only futures hold it */
    uint64_t empty;            /* jobs without items */
    pthread_mutex_t mutex;     /* names */
    struct sh_names *names;    /* functions whose names the pool has */
    struct shoal_future *futures[SH_POOL_SEGMENTS];
    struct sh_crew *crew;
};

extern const struct sh_object_kind sh_pool_kind;

/* Whether the body has room for as many workers as it says. */
int sh_pool_fits(const struct sh_pool_shared *shared);

static inline struct shoal_future *sh_pool_future(shoal_pool *pool, uint32_t index)
{
    uint32_t place = index + SH_POOL_SEGMENT_FIRST;
    unsigned segment = sh_log2(place) - 6;

    return &pool->futures[segment][place - (SH_POOL_SEGMENT_FIRST << segment)];
}

/* Make a pool without processes: what shoal_pool_open begins with. The options are in order. */
int sh_pool_create(const struct shoal_pool_options *options, shoal_pool **ret_pool);

/* Whether this is a pool that this process opened: 0; -EINVAL for NULL, -EPERM in another process. */
int sh_pool_enter(const shoal_pool *pool);

/* The result of an item that has ended, or its error, where that is known already. */
int sh_future_result(const struct shoal_future *future, uint64_t item, struct shoal_bytes *ret_result);

/* Take such a result's block over: it is this process's, ret_message, and the item has no result any more. 0 where the
 * result lies in no block of its own. */
int sh_future_take(struct shoal_future *future, uint64_t item, struct shoal_message *ret_message);

/* Cancel what has not begun of all jobs, but for single tasks up to this number. No other thread submits meanwhile. */
void sh_future_cancel_after(shoal_pool *pool, uint64_t number);

/* Have a callback, though none was named when the job was submitted: as if it had been. 0; -EALREADY where the job has
 * ended, or has one already: none will come. */
int sh_future_watch(struct shoal_future *future, shoal_future_callback *callback, void *context);

/* A future that was dropped, and that nothing waits for: give its slot back, and its hold of the pool. */
void sh_future_end(struct shoal_future *future);

/* One holder more; one less; there is none any more. */
void sh_pool_hold(shoal_pool *pool);
void sh_pool_release(shoal_pool *pool);
void sh_pool_drop(shoal_pool *pool);

/* The equations of shared.h, when nobody is using the pool. */
int sh_pool_check(struct sh_object *object);

#endif
