/* worker.h - a worker's place in shared memory: who it is, what it has taken, how far it has come.
 *
 * The turn. Between two chunks a worker has one critical section, under the pool's `take`: it retires the chunk that it
 * has run and takes the next. Everything that changes is first written down in its place - the new claim into the one
 * of `claims` that is not in force, and the values that the pool and the old job will have - then one store of `turn`
 * commits it, then it is carried out, and `applied` says so. All that is carried out are stores of values written down
 * before, so whoever finds a place with turn != applied carries it out once more: that is how the next one who takes
 * `take` after a death in it begins (sh_turn_lock), and all there is to it.
 *
 * The claim in force is claims[turn & 1]: items first to first + count of a job, of which the first `begun` have begun.
 * All begun ones but the last have ended; the last has, or it is what the worker is running. A worker that dies costs
 * this one item. Who stands in for it (sh_bury_place) marks the item, and by one more turn in the dead worker's name
 * retires what had begun, and claims the rest anew, with begun = 0: an orphan. Any worker may take an orphan into its
 * own claim, and the next process in the dead one's place does so by arriving.
 *
 * Places outlive processes. `generation` counts those that were started for the place; one that arrives and finds
 * another generation than it was started with leaves again. */
#ifndef SH_POOL_WORKER_H
#define SH_POOL_WORKER_H

#include "base/atomic.h"
#include "base/bits.h"

#include <stdint.h>

enum sh_worker_state {
    SH_WORKER_NONE,     /* no process; there may be an orphan */
    SH_WORKER_STARTING, /* one is being started, or initializes itself */
    SH_WORKER_LIVE,     /* it takes tasks */
    SH_WORKER_LEFT,     /* it leaves in order, and has no claim */
    SH_WORKER_REFUSED,  /* its initializer failed, with `refusal` */
    SH_WORKER_STATE_COUNT,
};

/* Part of a job. count 0: nothing. */
struct sh_claim {
    uint32_t job;        /* slot */
    uint32_t generation; /* of the slot: where it is another by now, the job was a single task that has ended */
    uint64_t first;
    _Atomic uint32_t count;
    uint32_t from;          /* place + 1 of the orphan that this was; 0: from the job */
    _Atomic uint32_t begun; /* by the worker, without lock, before it begins an item */
    uint32_t flags;         /* SH_CLAIM_... */
};

enum {
    SH_CLAIM_SINGLE = 1, /* the job is a single task */
    SH_CLAIM_LISTED = 2, /* and has ended, and was LISTED then */
};

_Static_assert(sizeof(struct sh_claim) == 32, "two claims share a line");

/* What a turn amounts to: bits of `plan`. */
enum {
    SH_TURN_COUNT = 1,    /* the old job: its done is `done` */
    SH_TURN_FINISH = 2,   /* those were its last items: it is DONE, and listed where it is LISTED */
    SH_TURN_SINGLE = 4,   /* it is a single task, DONE already */
    SH_TURN_LIST = 8,     /* and is to be listed */
    SH_TURN_EXHAUST = 16, /* the new job: all its items are taken, it is the head */
};

/* One place.
 *
 * state: STARTING and NONE by whoever starts and buries (the keeper, main while it opens the pool), LIVE, LEFT and
 *     REFUSED by the worker; LIVE, LEFT and NONE under `take`.
 * tag, generation: by whoever starts. pid: by both, the same value.
 * lost, deaths: by whoever buries: turn (or generation) << 32 | count, so that burying twice counts once.
 * claims ... number: under `take`, by the worker or who stands in for it.
 * begun, since, items_done, block: by the worker alone, while it lives.
 * block: a result too large for its record, from before the record names it until after it is the job's. */
struct sh_worker {
    _Alignas(SH_CACHE_LINE) _Atomic uint32_t state;
    _Atomic uint32_t tag;
    _Atomic int32_t pid;
    _Atomic uint32_t generation;
    _Atomic int32_t refusal;
    _Atomic uint64_t lost;
    _Atomic uint64_t deaths;

    _Alignas(SH_CACHE_LINE) struct sh_claim claims[2];

    _Alignas(SH_CACHE_LINE) _Atomic uint32_t turn;
    _Atomic uint32_t applied;
    uint32_t plan;
    uint32_t finished;  /* the list of finished jobs as it was before */
    uint64_t done;      /* of the old claim's job, afterwards */
    uint64_t completed; /* of the pool, afterwards */
    uint64_t number;    /* of the new claim's job */
    _Atomic int64_t since;
    _Atomic uint64_t items_done;
    _Atomic uint64_t block;
};

_Static_assert(sizeof(struct sh_worker) == 192, "a worker's place takes three lines");

#endif
