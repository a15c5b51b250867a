/* kinds.c - every kind of shared object, in one table: the arena asks it how to destroy, mend and check them. */
#include "arena/object.h"
#include "pool/pool.h"
#include "queue/pipe.h"
#include "queue/queue.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/lock.h"
#include "sync/semaphore.h"

/* Bytes for whoever is attached: nothing to mend, and nothing beside the body. */
static const struct sh_object_kind memory_kind = {.name = "memory"};

const struct sh_object_kind *const sh_object_kinds[SH_KIND_COUNT] = {
    [SH_KIND_LOCK] = &sh_lock_kind,           [SH_KIND_SEMAPHORE] = &sh_semaphore_kind,
    [SH_KIND_CONDITION] = &sh_condition_kind, [SH_KIND_EVENT] = &sh_event_kind,
    [SH_KIND_BARRIER] = &sh_barrier_kind,     [SH_KIND_QUEUE] = &sh_queue_kind,
    [SH_KIND_PIPE] = &sh_pipe_kind,           [SH_KIND_POOL] = &sh_pool_kind,
    [SH_KIND_MEMORY] = &memory_kind,
};
