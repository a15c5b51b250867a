/* job.h - a job: what one submission stands for, one task or a whole map, as it lies in shared memory.
 *
 * Who may do what: main is the process that opened the pool, and the only one that submits, cancels and drops. Workers
 * take chunks of a job's items and run them. Whoever stands in for a dead worker does as that worker would have.
 *
 * An item's record is where its result comes to lie. Its worker writes the data first and then, with one store, head:
 * from then on the item has ended and its record never changes. */
#ifndef SH_POOL_JOB_H
#define SH_POOL_JOB_H

#include "base/atomic.h"
#include "base/bits.h"
#include "os/word.h"

#include <stdint.h>

/* How an item ended: the lowest byte of its record's head. */
enum sh_item_state {
    SH_ITEM_OPEN,   /* it has not */
    SH_ITEM_DONE,   /* head: size << 8. data: the result */
    SH_ITEM_LARGE,  /* head: size << 8. data: offset of a block with the result */
    SH_ITEM_FAILED, /* head: the worker's pid << 8. data: its error (int32) */
    SH_ITEM_TOLD,   /* head: the worker's pid << 8. data: offset of a block with struct sh_failure */
    SH_ITEM_LOST,   /* head: the worker's pid << 8. data: struct sh_item_loss */
    SH_ITEM_STATE_COUNT,
};

#define SH_ITEM_STATE_MASK 0xffu
#define SH_ITEM_STATE_BITS 8

struct sh_item {
    _Atomic uint64_t head;
    _Atomic uint64_t data; /* the first of as many bytes as the job's stride leaves room for */
};

/* How the worker died that ran an item. */
struct sh_item_loss {
    int16_t signal; /* 0: it exited; -1: not known */
    int16_t code;
    int32_t unused;
};

_Static_assert(sizeof(struct sh_item_loss) == 8, "a loss fits where an offset does");

/* Where an item with a size of its own lies in the job's block. */
struct sh_part {
    uint64_t offset, size;
};

/* What a task said of its failure. */
struct sh_failure {
    int32_t error;
    char message[200];
};

/* A job's life: generation << 32 | the finisher's CPU << 16 | bits. The generation goes up when the slot is taken for
 * another job. */
enum {
    SH_JOB_DONE = 1,     /* all items have ended; what belongs to the job is main's from now on */
    SH_JOB_LISTED = 2,   /* main wants it in the list of finished jobs, and does not free it before */
    SH_JOB_FREE = 4,     /* the slot stands for nothing and owns no block */
    SH_JOB_PRIVATE = 8,  /* main is filling it, or taking it apart */
    SH_JOB_WATCHED = 16, /* somebody waits for one of its items: workers ring after each */
    SH_JOB_LARGE = 32,   /* a record may name a block */
    SH_JOB_BITS = 0xffff,
};

enum {
    SH_JOB_SIZES = 1,  /* items have sizes of their own: the block begins with a struct sh_part for each */
    SH_JOB_COMMON = 2, /* and then with one more, for what all of them have in common */
};

#define SH_JOB_INLINE_ARGUMENT 96u
#define SH_JOB_INLINE_RESULT 40u

/* One slot.
 *
 * First line: written by main before the job is linked; never changes while the job lives.
 * life: by main until it is linked; DONE is set once: of a single task by its worker when the item has ended, else by
 *     whoever retires the last chunk, under `take`, or cancels the rest. LISTED by compare-and-swap from a value
 *     without DONE; WATCHED at any time by main; LARGE by a worker before its first such record, of a map.
 * word: waiters of the job sleep here, in SH_WORD_DATA; nobody locks it (sh_word_ring).
 * item: the record of a single task.
 * next_item, limit, done: under the pool's `take`.
 * next: by main, under `put`, once: it links the job that comes after this one.
 * next_finished: under `take`.
 *
 * Equations, when `take` is not held:
 *     done <= next_item <= limit <= count
 *     next_item - done = items in workers' claims on this job
 *     life has DONE exactly when done == limit (or it is a single task whose item has ended)
 *     items from limit on are cancelled: their records are and stay SH_ITEM_OPEN
 *     of a single task next_item and done stay 0: it was taken when the list's head has come to it */
struct sh_job {
    uint64_t function; /* address, or where workers are no copies of main, offset of its name; a binding's own word */
    uint64_t argument; /* block with the items; 0: inline, or no bytes at all */
    uint64_t size;     /* of each item, or of the block where they have sizes of their own */
    uint64_t results;  /* block with the records; 0: `item` */
    uint64_t count;
    uint64_t number; /* of the job in its pool, in the order of submission, from 1 */
    uint32_t chunk;
    uint32_t stride; /* from record to record; room for a result is sh_job_room of it */
    uint32_t flags;  /* SH_JOB_SIZES ... */
    uint32_t submitter_cpu;

    _Atomic uint64_t life;
    struct sh_word word;
    struct sh_item item; /* with SH_JOB_INLINE_RESULT bytes of data */
    char item_rest[SH_JOB_INLINE_RESULT - sizeof(uint64_t)];

    _Atomic uint64_t next_item; /* the first that no worker has taken */
    _Atomic uint64_t limit;     /* items from here on are cancelled */
    _Atomic uint64_t done;      /* items of chunks that were retired */
    _Atomic uint32_t next;
    _Atomic uint32_t next_finished;
    char inline_argument[SH_JOB_INLINE_ARGUMENT];
};

_Static_assert(sizeof(struct sh_job) == 256, "a job takes four cache lines");
_Static_assert(offsetof(struct sh_job, life) == 64, "workers write the second line when a task ends");
_Static_assert(offsetof(struct sh_job, next_item) == 128, "and the third when they take it");

static inline uint32_t sh_job_room(uint32_t stride)
{
    return stride - (uint32_t)offsetof(struct sh_item, data);
}

static inline uint32_t sh_job_generation(uint64_t life)
{
    return (uint32_t)(life >> 32);
}

/* Whether the job that had this generation has items that have not ended. */
static inline int sh_job_is_open(uint64_t life, uint32_t generation)
{
    return sh_job_generation(life) == generation && !(life & (SH_JOB_DONE | SH_JOB_FREE | SH_JOB_PRIVATE));
}

static inline int sh_job_is_single(const struct sh_job *job)
{
    return job->count == 1;
}

static inline enum sh_item_state sh_item_state(uint64_t head)
{
    return (enum sh_item_state)(head & SH_ITEM_STATE_MASK);
}

#endif
