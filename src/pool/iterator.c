/* iterator.c - results as they come, of items that are produced as they are wanted.
 *
 * Every item is a job of its own. The iterator takes items from the producer until as many are out as the look-ahead
 * allows, then waits for one: the oldest, or, unordered, the first that ends, which its callback puts in a line. */
#include "pool/submit.h"
#include "pool/wait.h"

#include <errno.h>
#include <stdlib.h>

/* An item that is out. Private memory: `out` holds them in the order they were taken, `ended` in that of their ends. */
struct entry {
    shoal_future *future;
    uint64_t number;
    struct shoal_iterator *iterator;
    struct entry *next;
};

struct line {
    struct entry *first, *last;
};

/* Used by one thread at a time (is_used), but callbacks may come by any: mutex protects ended and references. */
struct shoal_iterator {
    shoal_pool *pool;
    shoal_task_function *function;
    shoal_item_producer *producer;
    void *context;
    uint64_t taken;   /* items from the producer */
    size_t out_count; /* of them: not yet handed out */
    size_t lookahead;
    int is_unordered;
    _Atomic uint32_t is_used;
    int producer_end; /* 1: it has no more; negative: its error */
    int is_held;      /* there was no room for this item yet */
    struct shoal_bytes held;
    struct line out;   /* ordered: all that are out */
    struct line ended; /* unordered: those that have ended */
    struct entry *current;
    pthread_mutex_t mutex;
    size_t references; /* the user's, and one for each entry whose callback is to come */
};

static void append(struct line *line, struct entry *entry)
{
    entry->next = NULL;
    if (line->last)
        line->last->next = entry;
    else
        line->first = entry;
    line->last = entry;
}

static struct entry *take_first(struct line *line)
{
    struct entry *entry = line->first;

    if (entry) {
        line->first = entry->next;
        if (!line->first)
            line->last = NULL;
    }
    return entry;
}

static void drop_entry(struct entry *entry)
{
    if (entry)
        shoal_future_free(entry->future);
    free(entry);
}

static void drop_reference(struct shoal_iterator *iterator)
{
    pthread_mutex_lock(&iterator->mutex);
    int is_last = --iterator->references == 0;
    pthread_mutex_unlock(&iterator->mutex);
    if (!is_last)
        return;
    struct entry *entry;
    while ((entry = take_first(&iterator->ended)))
        drop_entry(entry);
    pthread_mutex_destroy(&iterator->mutex);
    sh_pool_release(iterator->pool);
    free(iterator);
}

/* An unordered item has ended. */
static void note_end(shoal_future *future, void *context)
{
    struct entry *entry = context;
    struct shoal_iterator *iterator = entry->iterator;

    entry->future = future;
    pthread_mutex_lock(&iterator->mutex);
    append(&iterator->ended, entry);
    pthread_mutex_unlock(&iterator->mutex);
    drop_reference(iterator);
}

static int submit_item(struct shoal_iterator *iterator, const struct shoal_bytes *item, int64_t timeout)
{
    struct entry *entry = calloc(1, sizeof *entry);
    struct sh_submission submission = {
        .function = iterator->function,
        .items = item->data,
        .size = item->size,
        .count = 1,
        .timeout = timeout,
        .callback = iterator->is_unordered ? note_end : NULL,
        .context = entry,
    };

    if (!entry)
        return -ENOMEM;
    entry->number = iterator->taken;
    entry->iterator = iterator;
    pthread_mutex_lock(&iterator->mutex);
    iterator->references += (size_t)iterator->is_unordered;
    pthread_mutex_unlock(&iterator->mutex);
    shoal_future *future;
    int r = sh_submit(iterator->pool, &submission, &future);
    if (r < 0) {
        pthread_mutex_lock(&iterator->mutex);
        iterator->references -= (size_t)iterator->is_unordered;
        pthread_mutex_unlock(&iterator->mutex);
        free(entry);
        return r;
    }
    if (!iterator->is_unordered) {
        entry->future = future;
        append(&iterator->out, entry);
    }
    iterator->taken++;
    iterator->out_count++;
    return 0;
}

/* The next item to submit: 1, or 0 where there is none any more. */
static int next_item(struct shoal_iterator *iterator, struct shoal_bytes *ret_item)
{
    if (iterator->is_held) {
        *ret_item = iterator->held;
        return 1;
    }
    struct shoal_bytes item = {0};
    int r = iterator->producer(iterator->context, &item);
    if (r > 0 && !item.data && item.size)
        r = -EINVAL;
    if (r <= 0)
        iterator->producer_end = r < 0 ? r : 1;
    *ret_item = item;
    return r > 0;
}

/* Take items from the producer while more may be out. Where the pool has no room, wait for it only if there is nothing
 * else to wait for. What the producer or submitting fails with ends the input; what is out still comes first. */
static int fill(struct shoal_iterator *iterator, int64_t timeout)
{
    while (!iterator->producer_end && iterator->out_count < iterator->lookahead) {
        struct shoal_bytes item;
        if (!next_item(iterator, &item))
            break;
        int r = submit_item(iterator, &item, iterator->out_count ? 0 : timeout);
        iterator->is_held = r == -EAGAIN || r == -ETIMEDOUT || r == -EINTR;
        iterator->held = item;
        if (iterator->is_held)
            return iterator->out_count ? 0 : r;
        if (r < 0)
            iterator->producer_end = r;
    }
    return 0;
}

int shoal_pool_imap(shoal_pool *pool, const struct shoal_imap_options *options, shoal_task_function *function,
                    shoal_item_producer *producer, void *context, shoal_iterator **ret_iterator)
{
    int r = sh_pool_enter(pool);

    if (r < 0)
        return r;
    if (!function || !producer || !ret_iterator ||
        (options &&
         (options->size != sizeof *options || options->flags & ~(unsigned)SHOAL_IMAP_UNORDERED || options->reserved)))
        return -EINVAL;
    if (sh_load_acquire(&pool->shared->phase) != SH_POOL_OPEN)
        return sh_load_acquire(&pool->shared->phase) == SH_POOL_BROKEN ? -ENOEXEC : -EPIPE;
    struct shoal_iterator *iterator = calloc(1, sizeof *iterator);
    if (!iterator)
        return -ENOMEM;
    iterator->pool = pool;
    iterator->function = function;
    iterator->producer = producer;
    iterator->context = context;
    iterator->is_unordered = options && (options->flags & SHOAL_IMAP_UNORDERED);
    iterator->lookahead = options && options->lookahead ? options->lookahead : 4 * (size_t)pool->shared->workers;
    iterator->references = 1;
    pthread_mutex_init(&iterator->mutex, NULL);
    sh_pool_hold(pool);
    *ret_iterator = iterator;
    return 0;
}

static int has_ended(shoal_pool *pool, const void *context)
{
    struct shoal_iterator *iterator = (struct shoal_iterator *)(uintptr_t)context;

    (void)pool;
    pthread_mutex_lock(&iterator->mutex);
    int is_there = iterator->ended.first != NULL;
    pthread_mutex_unlock(&iterator->mutex);
    return is_there;
}

/* Wait for the next entry to hand out: it stays where it is on failure. */
static int await_entry(struct shoal_iterator *iterator, int64_t timeout, struct entry **ret_entry)
{
    struct sh_wait wait = {.timeout = timeout};
    int r;

    if (iterator->is_unordered) {
        r = sh_wait_until(iterator->pool, NULL, has_ended, iterator, &wait);
        if (r < 0)
            return r;
        pthread_mutex_lock(&iterator->mutex);
        *ret_entry = take_first(&iterator->ended);
        pthread_mutex_unlock(&iterator->mutex);
        return 0;
    }
    r = shoal_future_wait(iterator->out.first->future, timeout);
    if (r == 0)
        *ret_entry = take_first(&iterator->out);
    return r;
}

static int hand_out(struct entry *entry, uint64_t *ret_item, struct shoal_bytes *ret_result,
                    struct shoal_task_error *ret_error)
{
    struct shoal_bytes result;
    int r = shoal_future_result(entry->future, 0, &result, 0);

    if (ret_item)
        *ret_item = entry->number;
    if (r == 0) {
        *ret_result = result;
        return 1;
    }
    if (ret_error && shoal_future_error(entry->future, 0, ret_error) == 0)
        ret_error->item = entry->number;
    return r;
}

static int next(struct shoal_iterator *iterator, uint64_t *ret_item, struct shoal_bytes *ret_result,
                struct shoal_task_error *ret_error, int64_t timeout)
{
    drop_entry(iterator->current); /* what the last call gave was valid until now */
    iterator->current = NULL;
    int r = fill(iterator, timeout);
    if (r < 0)
        return r;
    if (iterator->out_count == 0)
        return iterator->producer_end < 0 ? iterator->producer_end : 0;
    r = await_entry(iterator, timeout, &iterator->current);
    if (r < 0)
        return r;
    iterator->out_count--;
    return hand_out(iterator->current, ret_item, ret_result, ret_error);
}

int shoal_iterator_next(shoal_iterator *iterator, uint64_t *ret_item, struct shoal_bytes *ret_result,
                        struct shoal_task_error *ret_error, int64_t timeout)
{
    int r = iterator && ret_result ? sh_pool_enter(iterator->pool) : -EINVAL;
    uint32_t unused = 0;

    if (r < 0)
        return r;
    if (!sh_cas_acquire(&iterator->is_used, &unused, 1)) /* pairs with the store below */
        return -EBUSY;
    r = next(iterator, ret_item, ret_result, ret_error, timeout);
    sh_store_release(&iterator->is_used, 0);
    return r;
}

void shoal_iterator_free(shoal_iterator *iterator)
{
    struct entry *entry;

    if (!iterator || sh_pool_enter(iterator->pool) < 0)
        return;
    drop_entry(iterator->current);
    while ((entry = take_first(&iterator->out)))
        drop_entry(entry);
    drop_reference(iterator);
}
