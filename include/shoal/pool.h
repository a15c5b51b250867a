/* pool.h - worker processes that run tasks. */
#ifndef SHOAL_POOL_H
#define SHOAL_POOL_H

#include <shoal/base.h>
#include <shoal/process.h>
#include <sys/types.h>

typedef struct shoal_pool shoal_pool;
typedef struct shoal_future shoal_future;     /* the submitter's side of one task, or of a whole map */
typedef struct shoal_task shoal_task;         /* the worker's side of the item that runs now */
typedef struct shoal_iterator shoal_iterator; /* results as they come */

/* What a task runs, in a worker: 0 or more is success, negative is failure with that code. */
typedef int shoal_task_function(shoal_task *task);

/* Runs once in each worker: before its first task, after its last. */
typedef int shoal_pool_initializer(void *argument, size_t size);

struct shoal_pool_options {
    size_t size;                         /* SHOAL_OPTIONS(shoal_pool) */
    unsigned flags;                      /* zero */
    unsigned workers;                    /* 0: shoal_cpu_count() */
    enum shoal_start start;              /* with forkserver and spawn, functions need names: SHOAL_REGISTER */
    unsigned tasks_per_worker;           /* a worker is replaced after this many tasks (chunks of a map); 0: never */
    uint64_t max_pending;                /* tasks submitted and not begun, at most; submission waits; 0: no bound */
    shoal_pool_initializer *initializer; /* NULL: none. Where it fails (negative) its worker exits; where that
                                            happens at every start, the pool gives up with -ENOEXEC on all tasks. */
    shoal_pool_initializer *finalizer;   /* NULL: none. Runs when a worker leaves in order. */
    const void *argument;                /* size bytes for both, copied */
    size_t argument_size;
};

/* Called in the submitting process, by a thread that is inside a wait, get, join or poll of this pool. */
typedef void shoal_future_callback(shoal_future *future, void *context);

struct shoal_task_options {
    size_t size;                     /* SHOAL_OPTIONS(shoal_task) */
    unsigned flags;                  /* zero */
    unsigned reserved;               /* zero */
    size_t chunk;                    /* items a worker takes at a time; 0: items / (4 * workers), at least 1 */
    int64_t timeout;                 /* longest wait for room where max_pending bounds the pool; 0: for ever */
    shoal_future_callback *callback; /* when all items are done, whatever came of them; NULL: none */
    void *context;                   /* for callback */
};

/* Why an item has no result. */
struct shoal_task_error {
    int error;         /* negative: what the function returned, -ECHILD for a worker's death, -ECANCELED, -ENOEXEC */
    int signal;        /* -ECHILD: the signal that killed the worker, or 0 */
    int exit_code;     /* -ECHILD: its exit code where signal is 0 */
    pid_t pid;         /* the worker that ran it; 0 where none did */
    uint64_t item;     /* which item of the map: 0 for a single task */
    char message[200]; /* from shoal_task_fail, or a sentence of the library's; never empty */
};

/* One worker, as shoal_pool_workers shows it. */
struct shoal_worker_info {
    pid_t pid;
    int busy;            /* 1 while it runs an item */
    uint64_t task, item; /* what it runs: the task's number in this pool, and the item in it */
    int64_t since;       /* nanoseconds since it began that item's chunk */
    uint64_t items_done; /* items it has finished */
};

struct shoal_pool_stats {
    unsigned workers;         /* how many the pool keeps */
    unsigned alive;           /* how many live now */
    uint64_t submitted;       /* tasks submitted (a map is one) */
    uint64_t pending;         /* of them: not begun */
    uint64_t completed;       /* of them: ended, whatever came of it */
    uint64_t lost;            /* items lost to a worker's death */
    uint64_t deaths;          /* workers that died unasked */
    uint64_t keeper_restarts; /* times the pool's keeper had to be replaced */
};

SHOAL_BEGIN

/* Start a pool; options may be NULL. Errors as shoal_process_start. */
SHOAL_API int shoal_pool_open(const struct shoal_pool_options *options, shoal_pool **ret_pool);

/* A pool, its futures and its iterators are used by the process that opened it, in any of its threads: all calls are
 * -EPERM in a child that it forked. */

/* No more tasks: submitting is -EPIPE from now on; what was submitted is still run. */
SHOAL_API int shoal_pool_close(shoal_pool *pool);
/* End the workers at once; tasks that have not ended are -ECANCELED. */
SHOAL_API int shoal_pool_terminate(shoal_pool *pool);
/* Wait until all workers have gone; -EINVAL before close or terminate. -EAGAIN, -ETIMEDOUT. */
SHOAL_API int shoal_pool_join(shoal_pool *pool, int64_t timeout);
/* Drop the pool; NULL is fine. Terminates one that is open; waits until all workers have gone, which after close alone
 * is when all tasks have ended. Its futures stay valid until freed. */
SHOAL_API void shoal_pool_free(shoal_pool *pool);

/* Submit function for count items at once: item i gets size bytes at (const char *)items + i * size. The future
 * stands for all of them. count 0 is a future that is ready. ret_future may be NULL where nobody will ask. */
SHOAL_API int shoal_pool_submit(shoal_pool *pool, const struct shoal_task_options *options,
                                shoal_task_function *function, const void *items, size_t size, size_t count,
                                shoal_future **ret_future);
/* The same for items of different sizes. */
SHOAL_API int shoal_pool_submit_items(shoal_pool *pool, const struct shoal_task_options *options,
                                      shoal_task_function *function, const struct shoal_bytes *items, size_t count,
                                      shoal_future **ret_future);

/* Run function once and wait: shoal_pool_submit with one item, shoal_future_get, shoal_future_free. Returns the
 * result's size; result may be NULL where capacity is 0. A signal handler does not end the wait, here and in map. */
SHOAL_API ssize_t shoal_pool_apply(shoal_pool *pool, shoal_task_function *function, const void *argument, size_t size,
                                   void *result, size_t capacity);

/* Run function for count items and wait; result i goes to (char *)results + i * result_size, and must have that
 * size. 0 where all succeeded; else the error of the first item (in order) that did not, all others' results being
 * in place. */
SHOAL_API int shoal_pool_map(shoal_pool *pool, shoal_task_function *function, const void *items, size_t size,
                             size_t count, void *results, size_t result_size);

/* Wait until all items of a future have ended: 0, -EAGAIN, -ETIMEDOUT. */
SHOAL_API int shoal_future_wait(shoal_future *future, int64_t timeout);
/* Wait for one item. */
SHOAL_API int shoal_future_wait_item(shoal_future *future, uint64_t item, int64_t timeout);
/* 1 where all items have ended; 1 where they ended with success (-EAGAIN before they ended). */
SHOAL_API int shoal_future_ready(const shoal_future *future);
SHOAL_API int shoal_future_successful(const shoal_future *future);
/* How many items the future stands for, and how many have ended. Either may be NULL. */
SHOAL_API int shoal_future_progress(const shoal_future *future, uint64_t *ret_done, uint64_t *ret_count);

/* Wait for an item, copy its result into buffer and return its size. The item's error where it has none; -EMSGSIZE
 * where it is larger than capacity (nothing copied). */
SHOAL_API ssize_t shoal_future_get(shoal_future *future, uint64_t item, void *buffer, size_t capacity, int64_t timeout);
/* The same without copying: ret_result lies in the arena and is valid until the future is freed. */
SHOAL_API int shoal_future_result(shoal_future *future, uint64_t item, struct shoal_bytes *ret_result, int64_t timeout);
/* Why an item that ended has no result: 0 and *ret_error, or -ENOENT where it has one, -EAGAIN where it runs. */
SHOAL_API int shoal_future_error(const shoal_future *future, uint64_t item, struct shoal_task_error *ret_error);
/* Stop what has not begun: those items are -ECANCELED. Returns how many. */
SHOAL_API ssize_t shoal_future_cancel(shoal_future *future);
/* Drop the future; NULL is fine. What it stands for is run all the same. */
SHOAL_API void shoal_future_free(shoal_future *future);

/* Give results one by one while the items are still being produced: next fills *ret_item and returns 1, or 0 at the
 * end, or a negative code that ends the iteration with that error. */
typedef int shoal_item_producer(void *context, struct shoal_bytes *ret_item);
struct shoal_imap_options {
    size_t size;       /* SHOAL_OPTIONS(shoal_imap) */
    unsigned flags;    /* SHOAL_IMAP_UNORDERED or zero */
    unsigned reserved; /* zero */
    size_t lookahead;  /* items taken from the producer and not yet handed out, at most; 0: 4 * workers */
};
enum {
    SHOAL_IMAP_UNORDERED = 1 << 0, /* results as they are ready */
};
SHOAL_API int shoal_pool_imap(shoal_pool *pool, const struct shoal_imap_options *options, shoal_task_function *function,
                              shoal_item_producer *producer, void *context, shoal_iterator **ret_iterator);
/* The next result: 1 and *ret_result (valid until the next call), 0 at the end. An item that failed returns its
 * error, with the details in *ret_error (may be NULL), and the iteration goes on. -EAGAIN, -ETIMEDOUT. *ret_item
 * (may be NULL) says which item it is, counted from 0. One thread at a time: -EBUSY while another is inside. */
SHOAL_API int shoal_iterator_next(shoal_iterator *iterator, uint64_t *ret_item, struct shoal_bytes *ret_result,
                                  struct shoal_task_error *ret_error, int64_t timeout);
SHOAL_API void shoal_iterator_free(shoal_iterator *iterator);

/* Run the callbacks of futures that have ended; returns how many. Waiting calls do this by themselves. */
SHOAL_API int shoal_pool_poll(shoal_pool *pool);
SHOAL_API int shoal_pool_stats(shoal_pool *pool, struct shoal_pool_stats *ret_stats);
/* Describe up to count workers; returns how many there are. */
SHOAL_API int shoal_pool_workers(shoal_pool *pool, struct shoal_worker_info *ret_workers, unsigned count);

/* In a task function. The item's bytes: copied into buffer (-EMSGSIZE where they are not size bytes exactly), or in
 * place. */
SHOAL_API int shoal_task_arg(const shoal_task *task, void *buffer, size_t size);
SHOAL_API int shoal_task_data(const shoal_task *task, struct shoal_bytes *ret_item);
/* Which item of the map this is: 0 for a single task. */
SHOAL_API uint64_t shoal_task_item(const shoal_task *task);
/* Set the item's result: a copy of size bytes. -ENOMEM. Returns 0, so that a task can end with it. */
SHOAL_API int shoal_task_return(shoal_task *task, const void *data, size_t size);
/* Set the item's error message, printf-like, and return error (negative), so that a task can end with it. */
SHOAL_API int shoal_task_fail(shoal_task *task, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

SHOAL_END

#endif
