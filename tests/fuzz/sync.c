/* sync.c - locks, semaphores, conditions, events and barriers whose shared memory was written over. */
#include "fuzz.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/lock.h"
#include "sync/semaphore.h"

static shoal_lock *lock;
static shoal_semaphore *permits, *count;
static shoal_condition *condition;
static shoal_event *event;
static shoal_barrier *barrier;
static struct sh_object *objects[6];
static const struct sh_object_kind *const kinds[] = {&sh_lock_kind,      &sh_semaphore_kind, &sh_semaphore_kind,
                                                     &sh_condition_kind, &sh_event_kind,     &sh_barrier_kind};

static void add(unsigned index, struct sh_handle *handle, uint64_t size)
{
    objects[index] = handle->object;
    fuzz_region(sh_offset(handle->object) + sizeof(struct sh_object), size - sizeof(struct sh_object));
}

static void make_scene(void)
{
    struct shoal_semaphore_options owned = {SHOAL_OPTIONS(shoal_semaphore), .flags = SHOAL_SEMAPHORE_OWNED, .value = 5};
    struct shoal_semaphore_options plain = {SHOAL_OPTIONS(shoal_semaphore), .value = 5};

    fuzz_arena();
    fuzz_must(shoal_lock_open(NULL, &lock));
    fuzz_must(shoal_semaphore_open(&owned, &permits));
    fuzz_must(shoal_semaphore_open(&plain, &count));
    fuzz_must(shoal_condition_open(&condition));
    fuzz_must(shoal_event_open(&event));
    fuzz_must(shoal_barrier_open(4, &barrier));
    add(0, &lock->handle, sizeof(struct sh_lock_shared));
    add(1, &permits->handle, sizeof(struct sh_semaphore_shared) + 5 * sizeof(uint32_t));
    add(2, &count->handle, sizeof(struct sh_semaphore_shared));
    add(3, &condition->handle, sizeof(struct sh_condition_shared));
    add(4, &event->handle, sizeof(struct sh_event_shared));
    add(5, &barrier->handle, sizeof(struct sh_barrier_shared) + 4 * sizeof(uint64_t));
    fuzz_keep();
}

static void use(uint64_t number)
{
    struct shoal_lock_owner owner;
    uint32_t value;

    for (unsigned i = 0; i < 6; i++)
        if (kinds[i]->check)
            kinds[i]->check(objects[i]);
    shoal_lock_owner(lock, &owner);
    if (shoal_lock_acquire(lock, 0) >= 0) {
        shoal_condition_wait(condition, lock, 1);
        shoal_condition_notify(condition, 1);
        shoal_condition_notify_all(condition);
        shoal_lock_release(lock);
    }
    shoal_condition_waiters(condition, &value);
    shoal_semaphore_acquire(permits, 0);
    shoal_semaphore_acquire(count, 0);
    shoal_semaphore_value(permits, &value);
    shoal_semaphore_release(permits, 1);
    shoal_semaphore_release(count, 1);
    shoal_event_set(event);
    shoal_event_wait(event, 1);
    shoal_event_clear(event);
    shoal_event_wait(event, 0);
    shoal_barrier_wait(barrier, 1);
    shoal_barrier_waiting(barrier, &value);
    shoal_barrier_abort(barrier);
    shoal_barrier_reset(barrier);
    for (unsigned i = 0; i < 6; i++) {
        if (kinds[i]->bury)
            kinds[i]->bury(objects[i], (uint32_t)number);
        if (kinds[i]->destroy && number & 1)
            kinds[i]->destroy(objects[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!lock)
        make_scene();
    fuzz_spoil(data, size);
    use(fuzz_number(data, size));
    fuzz_done();
    return 0;
}
