/* semaphore.c - semaphores: the calls, and the plain kind, whose permits belong to nobody. */
#include "sync/semaphore.h"

#include "base/check.h"
#include "base/crash.h"
#include "os/clock.h"
#include "sync/watch.h"

#include <errno.h>

#define MOST_PLAIN ((uint32_t)INT32_MAX)
#define MOST_OWNED 65535u

static struct sh_semaphore_shared *shared_of(const shoal_semaphore *semaphore)
{
    return sh_container(semaphore->handle.object, struct sh_semaphore_shared, object);
}

static int is_owned(const struct sh_semaphore_shared *shared)
{
    return shared->flags & SHOAL_SEMAPHORE_OWNED;
}

/* The bound that the options mean; 0 where they mean nothing. Of an owned one there are as many permits as are free at
 * the beginning: more cannot be released than are held. */
static uint32_t maximum_of(const struct shoal_semaphore_options *options)
{
    int owned = options->flags & SHOAL_SEMAPHORE_OWNED;
    uint32_t most = owned ? MOST_OWNED : MOST_PLAIN;
    uint32_t maximum = options->maximum ? options->maximum : most;

    if (maximum > most || options->value > maximum)
        return 0;
    return owned ? options->value : maximum;
}

static shoal_semaphore *use(struct sh_handle *handle)
{
    shoal_semaphore *semaphore = sh_container(handle, shoal_semaphore, handle);

    semaphore->permits = sh_permit_count(sh_container(handle->object, struct sh_semaphore_shared, object));
    return semaphore;
}

int shoal_semaphore_open(const struct shoal_semaphore_options *options, shoal_semaphore **ret_semaphore)
{
    const struct shoal_semaphore_options none = {SHOAL_OPTIONS(shoal_semaphore)};
    struct sh_handle *handle;

    if (!options)
        options = &none;
    if (!ret_semaphore || options->size != sizeof *options || options->flags & ~(unsigned)SHOAL_SEMAPHORE_OWNED)
        return -EINVAL;
    uint32_t maximum = maximum_of(options);
    if (maximum == 0)
        return -EINVAL;
    size_t size = sizeof(struct sh_semaphore_shared);
    if (options->flags & SHOAL_SEMAPHORE_OWNED)
        size += maximum * sizeof(uint32_t);
    int r = sh_handle_create(SH_KIND_SEMAPHORE, size, sizeof(shoal_semaphore), &handle);
    if (r < 0)
        return r;
    struct sh_semaphore_shared *shared = sh_container(handle->object, struct sh_semaphore_shared, object);
    shared->flags = options->flags;
    shared->maximum = maximum;
    sh_store_relaxed(&shared->value, options->value);
    sh_handle_publish(handle);
    *ret_semaphore = use(handle);
    return 0;
}

int shoal_semaphore_attach(const shoal_ref *ref, shoal_semaphore **ret_semaphore)
{
    struct sh_handle *handle;

    if (!ret_semaphore)
        return -EINVAL;
    int r = sh_handle_attach(ref, SH_KIND_SEMAPHORE, sizeof(shoal_semaphore), &handle);
    if (r == 0)
        *ret_semaphore = use(handle);
    return r;
}

int shoal_semaphore_ref(const shoal_semaphore *semaphore, shoal_ref *ret_ref)
{
    return semaphore ? sh_handle_ref(&semaphore->handle, ret_ref) : -EINVAL;
}

void shoal_semaphore_free(shoal_semaphore *semaphore)
{
    if (semaphore)
        sh_handle_free(&semaphore->handle);
}

static int try_take(struct sh_semaphore_shared *shared)
{
    uint32_t value = sh_load_ordered(&shared->value); /* after the swaps in prepare */

    while (value > 0)
        if (sh_cas_ordered(&shared->value, &value, value - 1)) /* pairs with the swap in release */
            return 1;
    return 0;
}

/* Sleep until there is a permit, and take it. */
static int wait_for(struct sh_semaphore_shared *shared, int64_t deadline)
{
    struct sh_watch watch = {0};
    int r;

    do {
        uint32_t seen = sh_word_prepare(&shared->bell, SH_WORD_DATA);
        if (try_take(shared)) {
            r = 0;
            break;
        }
        sh_watch_begin(&watch);
        sh_watch_value(&watch, &shared->value, 0);
        r = sh_watch_sleep(&watch, &shared->bell, seen, deadline);
    } while (r == 0);
    SH_CRASH_POINT(semaphore_waited);
    if (sh_load_ordered(&shared->value) > 0) /* who released several may have died before it had woken as many */
        sh_word_pass(&shared->bell, SH_WORD_DATA);
    sh_word_forget();
    return r;
}

int shoal_semaphore_acquire(shoal_semaphore *semaphore, int64_t timeout)
{
    int r = semaphore ? sh_handle_enter(&semaphore->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_semaphore_shared *shared = shared_of(semaphore);

    if (is_owned(shared))
        return sh_permit_acquire(semaphore, timeout);
    if (sh_likely(try_take(shared)))
        return 0;
    return timeout <= 0 ? -EAGAIN : wait_for(shared, sh_clock_deadline(timeout));
}

static int release(struct sh_semaphore_shared *shared, uint32_t count)
{
    uint32_t value = sh_load_relaxed(&shared->value);

    sh_word_announce(&sh_thread_state, &shared->bell); /* from here on: no death after the swap loses the wake */
    do {
        if (count > shared->maximum - value) {
            sh_word_forget();
            return -EOVERFLOW;
        }
    } while (!sh_cas_ordered(&shared->value, &value, value + count)); /* pairs with the swaps in prepare */
    SH_CRASH_POINT(semaphore_released);
    if (sh_word_has_sleepers(&shared->bell))
        sh_word_ring_some(&shared->bell, (int)count);
    sh_word_forget();
    return 0;
}

int shoal_semaphore_release(shoal_semaphore *semaphore, uint32_t count)
{
    int r = semaphore && count > 0 ? sh_handle_enter(&semaphore->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_semaphore_shared *shared = shared_of(semaphore);

    return is_owned(shared) ? sh_permit_release(semaphore, count) : release(shared, count);
}

int shoal_semaphore_value(const shoal_semaphore *semaphore, uint32_t *ret_value)
{
    int r = semaphore && ret_value ? sh_handle_enter(&semaphore->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_semaphore_shared *shared = shared_of(semaphore);

    *ret_value = is_owned(shared) ? sh_permit_count_free(shared) : sh_load_acquire(&shared->value);
    return 0;
}

static void bury(struct sh_object *object, uint32_t tag)
{
    struct sh_semaphore_shared *shared = sh_container(object, struct sh_semaphore_shared, object);

    if (is_owned(shared))
        sh_permit_bury(shared, tag);
}

static int check(struct sh_object *object)
{
    struct sh_semaphore_shared *shared = sh_container(object, struct sh_semaphore_shared, object);

    SH_HOLDS(!(shared->flags & ~(unsigned)SHOAL_SEMAPHORE_OWNED));
    SH_HOLDS(shared->maximum > 0 && shared->maximum <= (is_owned(shared) ? MOST_OWNED : MOST_PLAIN));
    SH_HOLDS(!(sh_load_acquire(&shared->bell.value) & ~SH_WORD_WAITERS));
    SH_HOLDS(sh_load_acquire(&shared->value) <= shared->maximum);
    SH_HOLDS(!is_owned(shared) || sh_permit_count(shared) == shared->maximum);
    for (uint32_t i = 0; is_owned(shared) && i < sh_permit_count(shared); i++) {
        uint32_t permit = sh_load_acquire(&shared->permits[i]);
        SH_HOLDS(permit == SH_PERMIT_FREE || permit == SH_PERMIT_LEFT || sh_member_slot(permit) < SH_MEMBERS_MAX);
    }
    return 0;
}

const struct sh_object_kind sh_semaphore_kind = {
    .name = "semaphore",
    .size = sizeof(struct sh_semaphore_shared),
    .bury = bury,
    .check = check,
};
