/* shared.h - a pool in shared memory, and its protocol.
 *
 * Three kinds of processes: main, which opened the pool and alone submits to it; workers; and the keeper, which starts
 * workers and stands in for dead ones. When main dies, the kernel kills the others (os/life.h), and the last one's
 * burial frees the pool; so what main alone writes needs no recovery but what `bury` and `destroy` do.
 *
 * The list of jobs has two ends, under a word each. `put`: main links a job behind the last one with one store. `take`:
 * workers take chunks of the first job that has any (pool/worker.h). `head` is the last job that all items were taken
 * of, or that was passed over because the rest was cancelled; the job it links to is the first with work.
 * While a slot is head it is not used again, though its job may have ended.
 *
 * Idle workers sleep on `idle`, which nobody locks, so that only who has work for them wakes one (sh_turn_wake_one):
 * main when it has linked a job, and who stands in for a dead worker when there is an orphan. Who was woken wakes the
 * next if there is more. Main waits for room (max_pending) on `take`, for one job on the job's word, and for anything
 * to happen on `event`. All sleep in SH_WORD_DATA.
 *
 * Equations, when neither word is held:
 *     begun <= submitted, exhausted <= begun
 *     exhausted == number of head's job, submitted == number of the last job linked
 *     every place has turn == applied
 *     every slot below top is FREE, or linked and not yet taken, or in claims, or DONE, or PRIVATE
 *     a slot that is FREE has no blocks */
#ifndef SH_POOL_SHARED_H
#define SH_POOL_SHARED_H

#include "arena/object.h"
#include "os/word.h"
#include "pool/job.h"
#include "pool/worker.h"

#include <shoal/pool.h>
#include <stdint.h>

#define SH_POOL_SEGMENTS 24
#define SH_POOL_SEGMENT_FIRST 64u /* slots of the first segment, which lies in the pool's body */
#define SH_POOL_JOBS_MAX (SH_POOL_SEGMENT_FIRST * ((1u << SH_POOL_SEGMENTS) - 1))
#define SH_POOL_WORKERS_MAX 1000u
#define SH_POOL_POSTS 32u

enum sh_pool_phase {
    SH_POOL_OPEN,
    SH_POOL_CLOSED,     /* no more jobs; workers leave when all is done */
    SH_POOL_TERMINATED, /* the keeper kills the workers */
    SH_POOL_BROKEN,     /* the same, because no worker comes up */
};

/* What an idle worker needs to know of the job with this number, in one line: a copy, which saves it the slot's lines.
 * Main writes number last, and 0 before it changes the rest; a reader that finds the same number before and after has
 * what belongs together. */
struct sh_post {
    _Alignas(SH_CACHE_LINE) _Atomic uint64_t number;
    _Atomic uint64_t function;
    _Atomic uint64_t slot; /* generation << 32 | index */
    _Atomic uint64_t size; /* submitter's CPU << 32 | bytes of the item; SH_POST_NONE of them: look at the slot */
    _Atomic uint64_t data[4];
};

#define SH_POST_NONE UINT32_MAX
#define SH_POST_SIZE 32u /* bytes of data */

#define SH_POOL_NAME_SIZE 64

/* A function of the program: its address, and where workers are no copies of main its name. */
struct sh_pool_hook {
    uint64_t address; /* 0: none */
    char name[SH_POOL_NAME_SIZE];
};

struct sh_pool_shared {
    struct sh_object object;
    /* Never change. */
    uint32_t workers;
    uint32_t tasks_per_worker; /* 0: no bound */
    uint32_t start;            /* enum shoal_start */
    uint32_t main_tag;
    uint64_t max_pending; /* 0: no bound */
    struct sh_pool_hook initializer;
    struct sh_pool_hook finalizer;
    uint64_t argument_offset; /* from the body */
    uint64_t argument_size;

    /* By main, under put: once each. */
    _Atomic uint64_t segments[SH_POOL_SEGMENTS];
    _Atomic uint64_t names; /* newest name of a function (names.c); 0: none */
    _Atomic uint32_t top;   /* slots from here on were never used */

    /* By main and the keeper. phase only goes up; ended: no worker lives, and none will: set once, by the keeper. */
    _Atomic uint32_t phase;
    _Atomic uint32_t ended;
    _Atomic int32_t refusal;   /* what the initializer said when the pool was given up */
    char reason[160];          /* under take, by workers of a binding: the same in words, "" where nobody said any */
    _Atomic uint32_t failures; /* workers that did not come up, one after another; 0 by each that does */
    _Atomic uint32_t keeper_tag;
    _Atomic uint32_t is_kept; /* the keeper has come: 1 by it, 0 by main before it starts one */
    _Atomic uint32_t keeper_restarts;

    /* By main, under put. */
    _Alignas(SH_CACHE_LINE) struct sh_word put;
    _Atomic uint64_t submitted; /* number of the last job linked */

    /* Under take, but for exhausted and orphans, which are looked at without it too. */
    _Alignas(SH_CACHE_LINE) struct sh_word take;
    _Atomic uint32_t head;     /* slot */
    _Atomic uint32_t finished; /* newest of the finished jobs that main wants to see; 0: none */
    _Atomic uint64_t exhausted;
    _Atomic uint64_t begun;         /* number of the last job of which an item was taken, or that was passed over */
    _Atomic uint64_t completed;     /* jobs that have ended and were retired */
    _Atomic uint32_t orphans;       /* there may be an orphan */
    _Atomic uint32_t cancellations; /* counts jobs of which something was cancelled, so that posts are not believed */

    /* Not locked, but slept on: written by who falls asleep and who wakes him, otherwise only looked at. */
    _Alignas(SH_CACHE_LINE) struct sh_word event;
    struct sh_word idle;

    struct sh_post
        post[SH_POOL_POSTS]; /* by main, under put: job n's is post[n % SH_POOL_POSTS]; cleared when cancelled */

    _Alignas(SH_CACHE_LINE) struct sh_worker worker[]; /* then the first segment, then the argument */
};

/* The slot with this index, which is below top. */
static inline struct sh_job *sh_pool_job(struct sh_pool_shared *pool, uint32_t index)
{
    uint32_t place = index + SH_POOL_SEGMENT_FIRST;
    unsigned segment = sh_log2(place) - 6;
    struct sh_job *jobs = sh_at(sh_load_relaxed(&pool->segments[segment]));

    return &jobs[place - (SH_POOL_SEGMENT_FIRST << segment)];
}

_Static_assert(SH_POOL_SEGMENT_FIRST == 1u << 6, "sh_pool_job counts from it");

static inline uint32_t sh_pool_segment_size(unsigned segment)
{
    return SH_POOL_SEGMENT_FIRST << segment;
}

/* The same for an index that a process which went wrong may have written: NULL where it is none, or where it leads out
 * of the arena. */
static inline struct sh_job *sh_pool_look(struct sh_pool_shared *pool, uint32_t index)
{
    if (index >= sh_load_acquire(&pool->top) || index >= SH_POOL_JOBS_MAX)
        return NULL;
    unsigned segment = sh_log2(index + SH_POOL_SEGMENT_FIRST) - 6;
    uint64_t offset = sh_load_relaxed(&pool->segments[segment]);
    int is_there = sh_arena_contains(offset, sh_pool_segment_size(segment) * sizeof(struct sh_job)) &&
                   offset % _Alignof(struct sh_job) == 0;
    return is_there ? sh_pool_job(pool, index) : NULL;
}

/* The same for a job that can be had: the first slot stands before all. */
static inline struct sh_job *sh_pool_find_job(struct sh_pool_shared *pool, uint32_t index)
{
    return index > 0 ? sh_pool_look(pool, index) : NULL;
}

static inline struct sh_item *sh_pool_item(struct sh_job *job, uint64_t item)
{
    return job->results ? (struct sh_item *)sh_at(job->results + item * job->stride) : &job->item;
}

/* Whether some item waits for a worker, or may: no lock needed. */
static inline int sh_pool_has_work(struct sh_pool_shared *pool)
{
    return sh_load_acquire(&pool->submitted) != sh_load_acquire(&pool->exhausted) || sh_load_acquire(&pool->orphans);
}

#endif
