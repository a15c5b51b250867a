/* queue.c - queues: making and ending them, and the calls that put and get. */
#include "queue/queue.h"

#include "arena/block.h"
#include "base/crash.h"
#include "base/parts.h"
#include "os/clock.h"
#include "queue/join.h"
#include "queue/poll.h"
#include "queue/side.h"
#include "queue/wait.h"

#include <errno.h>
#include <string.h>

#define MOST_PARTS 1024
#define MOST_ITEMS (UINT32_C(1) << 31)

static void destroy(struct sh_object *object)
{
    sh_queue_drain(sh_container(object, struct sh_queue_shared, object));
}

static void bury(struct sh_object *object, uint32_t tag)
{
    struct sh_queue_shared *queue = sh_container(object, struct sh_queue_shared, object);

    if (sh_word_is_orphan(&queue->tail_word)) {
        sh_queue_lock_tail(queue);
        sh_word_unlock(&queue->tail_word);
    }
    if (sh_word_is_orphan(&queue->head_word)) {
        sh_queue_lock_head(queue);
        sh_word_unlock(&queue->head_word);
    }
    sh_queue_bury_getter(queue, tag);
    sh_queue_bury_poller(queue, tag);
}

const struct sh_object_kind sh_queue_kind = {
    .name = "queue",
    .size = sizeof(struct sh_queue_shared),
    .destroy = destroy,
    .bury = bury,
    .check = sh_queue_check,
};

static void fill(struct sh_queue_shared *queue, const struct shoal_queue_options *options)
{
    if (options) {
        queue->flags = options->flags;
        queue->max_items = options->max_items < MOST_ITEMS ? (uint32_t)options->max_items : 0;
        queue->max_bytes = options->max_bytes;
    }
    queue->first.units = SH_QUEUE_FIRST_UNITS;
    sh_store_relaxed(&queue->tail_ring, sh_offset(&queue->first));
    sh_store_relaxed(&queue->head_ring, sh_offset(&queue->first));
}

static shoal_queue *fill_handle(struct sh_handle *handle)
{
    shoal_queue *queue = sh_container(handle, shoal_queue, handle);

    sh_store_relaxed(&queue->fd, -1);
    return queue;
}

int shoal_queue_open(const struct shoal_queue_options *options, shoal_queue **ret_queue)
{
    int is_joinable = options && (options->flags & SHOAL_QUEUE_JOINABLE);
    uint64_t size = sizeof(struct sh_queue_shared) + (is_joinable ? sizeof(struct sh_queue_join) : 0);
    struct sh_handle *handle;

    if (!ret_queue || (options && (options->size != sizeof *options ||
                                   options->flags & ~(unsigned)SHOAL_QUEUE_JOINABLE || options->reserved)))
        return -EINVAL;
    int r = sh_handle_create(SH_KIND_QUEUE, size, sizeof(shoal_queue), &handle);
    if (r < 0)
        return r;
    shoal_queue *queue = fill_handle(handle);
    fill(sh_queue_body(queue), options);
    sh_handle_publish(handle);
    *ret_queue = queue;
    return 0;
}

int shoal_queue_attach(const shoal_ref *ref, shoal_queue **ret_queue)
{
    struct sh_handle *handle;

    if (!ret_queue)
        return -EINVAL;
    int r = sh_handle_attach(ref, SH_KIND_QUEUE, sizeof(shoal_queue), &handle);
    if (r == 0)
        *ret_queue = fill_handle(handle);
    return r;
}

int shoal_queue_ref(const shoal_queue *queue, shoal_ref *ret_ref)
{
    return queue ? sh_handle_ref(&queue->handle, ret_ref) : -EINVAL;
}

int shoal_queue_close(shoal_queue *queue)
{
    int r = queue ? sh_handle_enter(&queue->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_queue_shared *shared = sh_queue_body(queue);
    sh_queue_lock_head(shared);
    if (sh_load_relaxed(&shared->closed) == SH_QUEUE_OPEN)
        sh_store_release(&shared->closed, SH_QUEUE_CLOSING); /* pairs with the load in refuses */
    SH_CRASH_POINT(queue_closing);
    sh_word_unlock_all(&shared->head_word, SH_WORD_DATA);
    sh_queue_refuses(shared);
    return 0;
}

void shoal_queue_free(shoal_queue *queue)
{
    if (!queue)
        return;
    sh_queue_stop_polling(queue);
    sh_handle_free(&queue->handle);
}

/* Append one message, waiting for room. */
static int put(struct sh_queue_shared *queue, const struct sh_queue_in *in, int64_t timeout)
{
    struct sh_queue_wait wait = {.timeout = timeout};
    uint64_t spare_ring = 0;
    int r;

    for (;;) {
        sh_queue_lock_tail(queue);
        uint32_t next_units = 0;
        if (sh_load_relaxed(&queue->closed)) {
            r = -EPIPE;
        } else {
            r = sh_queue_signal(queue);
            if (r == 0)
                r = sh_queue_append(queue, in, &spare_ring);
            if (r == -ENOBUFS)
                next_units = sh_queue_next_units(queue);
        }
        sh_word_unlock(&queue->tail_word);
        if (r == -ENOBUFS)
            r = sh_queue_make_ring(next_units, &spare_ring);
        else if (r == -EAGAIN)
            r = sh_queue_wait_room(queue, &wait, in->size);
        else
            break;
        if (r < 0)
            break;
    }
    if (sh_unlikely(spare_ring != 0))
        sh_block_free(spare_ring);
    sh_queue_pass_room(queue, &wait);
    if (r == -EPIPE)
        sh_queue_refuses(queue);
    return r;
}

/* Whether a message of this size can ever go in, and whether it could now: no work for what is refused anyway. */
static int admit(struct sh_queue_shared *queue, uint64_t size, int64_t timeout)
{
    if (queue->max_bytes && size > queue->max_bytes)
        return -EMSGSIZE;
    if (size > sh_arena.reserve)
        return -ENOMEM;
    if (sh_queue_refuses(queue))
        return -EPIPE;
    return timeout <= 0 && !sh_queue_has_room(queue, size) ? -EAGAIN : 0;
}

/* Copy the parts into a block and append that. */
static int put_large(struct sh_queue_shared *queue, const struct sh_queue_in *in, int64_t timeout)
{
    uint64_t block;
    int r = admit(queue, in->size, timeout);

    if (r == 0)
        r = sh_block_alloc(in->size, &block);
    if (r < 0)
        return r;
    sh_block_touch(block, in->size);
    sh_parts_copy(sh_at(block), in->parts, in->count);
    r = put(queue, &(struct sh_queue_in){.size = in->size, .block = block}, timeout);
    if (r < 0)
        sh_block_free(block);
    return r;
}

static int put_parts(shoal_queue *queue, const struct shoal_bytes *parts, size_t count, int64_t timeout)
{
    struct sh_queue_shared *shared = sh_queue_body(queue);
    struct sh_queue_in in = {.parts = parts, .count = count};
    int r = sh_handle_enter(&queue->handle);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (!parts[i].data && parts[i].size)
            return -EINVAL;
        if (parts[i].size > UINT64_MAX - in.size)
            return -ENOMEM;
        in.size += parts[i].size;
    }
    if (in.size > SH_RING_INLINE)
        return put_large(shared, &in, timeout);
    if (shared->max_bytes && in.size > shared->max_bytes)
        return -EMSGSIZE;
    return put(shared, &in, timeout);
}

int shoal_queue_put(shoal_queue *queue, const void *data, size_t size, int64_t timeout)
{
    if (!queue)
        return -EINVAL;
    return put_parts(queue, &(struct shoal_bytes){data, size}, 1, timeout);
}

int shoal_queue_put_parts(shoal_queue *queue, const struct shoal_bytes *parts, size_t count, int64_t timeout)
{
    if (!queue || (!parts && count) || count > MOST_PARTS)
        return -EINVAL;
    return put_parts(queue, parts, count, timeout);
}

/* Append what goes in at once of small messages; returns how many. */
static size_t put_run(struct sh_queue_shared *queue, const struct shoal_bytes *messages, size_t count)
{
    size_t done = 0;

    sh_queue_lock_tail(queue);
    if (!sh_load_relaxed(&queue->closed) && sh_queue_signal(queue) == 0) {
        done = sh_queue_append_many(queue, messages, count);
    }
    sh_word_unlock(&queue->tail_word);
    return done;
}

ssize_t shoal_queue_put_many(shoal_queue *queue, const struct shoal_bytes *messages, size_t count, int64_t timeout)
{
    size_t done = 0;

    if (!queue || (!messages && count))
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (!messages[i].data && messages[i].size)
            return -EINVAL;
    ssize_t r = sh_handle_enter(&queue->handle);
    if (r < 0)
        return r;
    int64_t now = timeout > 0 && timeout != SHOAL_FOREVER ? sh_clock_now() : 0;
    int64_t deadline = now ? sh_clock_deadline(timeout) : 0;
    while (done < count) {
        if (messages[done].size <= SH_RING_INLINE) {
            size_t run = put_run(sh_queue_body(queue), messages + done, count - done);
            done += run;
            if (run > 0)
                continue;
        }
        /* One that is large, or that does not go in at once: put waits, or says why it never will. */
        r = put_parts(queue, messages + done, 1, deadline ? deadline - sh_clock_now() : timeout);
        if (r < 0)
            break;
        done++;
    }
    return done ? (ssize_t)done : r;
}

int sh_queue_await_message(struct sh_queue_shared *queue, int64_t timeout)
{
    struct sh_queue_wait wait = {.timeout = timeout};
    int r = 0;

    while (r == 0 && !sh_queue_has_message(queue))
        r = sh_queue_wait_message(queue, &wait);
    sh_queue_pass_message(queue, &wait); /* it stays for others to take */
    if (r < 0)
        sh_queue_unsignal(queue);
    return r;
}

/* Take one message, waiting for it. */
static int get(struct sh_queue_shared *queue, struct sh_queue_out *out, int blocks_too, int64_t timeout)
{
    struct sh_queue_wait wait = {.timeout = timeout};
    int r;

    for (;;) {
        sh_queue_lock_head(queue);
        r = sh_queue_take(queue, out, blocks_too);
        sh_word_unlock(&queue->head_word);
        if (r != -EAGAIN)
            break;
        r = sh_queue_wait_message(queue, &wait);
        if (r < 0)
            break;
    }
    sh_queue_pass_message(queue, &wait);
    if (r != -EMSGSIZE)
        sh_queue_unsignal(queue);
    return r;
}

ssize_t shoal_queue_get(shoal_queue *queue, void *buffer, size_t capacity, int64_t timeout)
{
    struct sh_queue_out out = {.buffer = buffer, .capacity = capacity};

    if (!queue || (!buffer && capacity))
        return -EINVAL;
    int r = sh_handle_enter(&queue->handle);
    if (r == 0)
        r = get(sh_queue_body(queue), &out, 0, timeout);
    if (r < 0)
        return r;
    if (out.block) {
        if (buffer) /* NULL is fine for a message of no bytes, which may have been lent */
            memcpy(buffer, sh_at(out.block), out.size);
        sh_block_free(out.block);
    }
    return (ssize_t)out.size;
}

/* Take what is there and fits, under one hold of the word. Returns how many, -EAGAIN or -EMSGSIZE where none. */
static ssize_t take_many(struct sh_queue_shared *queue, char *buffer, size_t capacity, struct shoal_bytes *messages,
                         size_t count, uint64_t *blocks, size_t most_blocks)
{
    size_t used = 0, taken = 0, block_count = 0;
    int r = 0;

    sh_queue_lock_head(queue);
    while (taken < count && used <= capacity && block_count < most_blocks) {
        struct sh_queue_out out = {.buffer = buffer + used, .capacity = capacity - used};
        r = sh_queue_take(queue, &out, 0);
        if (r < 0)
            break;
        messages[taken++] = (struct shoal_bytes){.data = buffer + used, .size = out.size};
        if (out.block) {
            blocks[block_count * 2] = taken - 1;
            blocks[block_count * 2 + 1] = out.block;
            block_count++;
        }
        used = sh_round_up(used + out.size, (size_t)8);
    }
    sh_word_unlock(&queue->head_word);
    for (size_t i = 0; i < block_count; i++) {
        struct shoal_bytes *message = &messages[blocks[i * 2]];
        if (buffer)
            memcpy(buffer + ((const char *)message->data - buffer), sh_at(blocks[i * 2 + 1]), message->size);
        sh_block_free(blocks[i * 2 + 1]);
    }
    return taken ? (ssize_t)taken : r;
}

ssize_t shoal_queue_get_many(shoal_queue *queue, void *buffer, size_t capacity, struct shoal_bytes *ret_messages,
                             size_t count, int64_t timeout)
{
    enum { MOST_BLOCKS = 64 };
    uint64_t blocks[MOST_BLOCKS * 2];
    struct sh_queue_wait wait = {.timeout = timeout};

    if (!queue || (!buffer && capacity) || (!ret_messages && count))
        return -EINVAL;
    ssize_t r = sh_handle_enter(&queue->handle);
    if (r < 0 || count == 0)
        return r;
    struct sh_queue_shared *shared = sh_queue_body(queue);
    for (;;) {
        r = take_many(shared, buffer, capacity, ret_messages, count, blocks, MOST_BLOCKS);
        if (r != -EAGAIN)
            break;
        r = sh_queue_wait_message(shared, &wait);
        if (r < 0)
            break;
    }
    sh_queue_pass_message(shared, &wait);
    if (r != -EMSGSIZE)
        sh_queue_unsignal(shared);
    return r;
}

int shoal_queue_loan(shoal_queue *queue, size_t size, struct shoal_message *ret_message)
{
    uint64_t block;

    if (!queue || !ret_message)
        return -EINVAL;
    int r = sh_handle_enter(&queue->handle);
    if (r == 0)
        r = sh_block_alloc(size, &block);
    if (r < 0)
        return r;
    *ret_message = (struct shoal_message){.data = sh_at(block), .size = size, .block = block};
    return 0;
}

/* Whether a message is one that this process borrowed or received, and has not sent or released. */
static int is_own_message(const struct shoal_message *message)
{
    return message && sh_block_owner(message->block) == sh_member_tag() && message->data == sh_at(message->block) &&
           sh_block_capacity(message->block) >= message->size;
}

int shoal_queue_send(shoal_queue *queue, struct shoal_message *message, int64_t timeout)
{
    if (!queue || !message)
        return -EINVAL;
    int r = sh_handle_enter(&queue->handle);
    if (r < 0)
        return r;
    if (!is_own_message(message))
        return -EINVAL;
    struct sh_queue_shared *shared = sh_queue_body(queue);
    r = admit(shared, message->size, timeout);
    if (r == 0)
        r = put(shared, &(struct sh_queue_in){.size = message->size, .block = message->block}, timeout);
    if (r == 0)
        *message = (struct shoal_message){0};
    return r;
}

int shoal_queue_receive(shoal_queue *queue, struct shoal_message *ret_message, int64_t timeout)
{
    uint64_t block = 0;
    struct sh_queue_out out = {0};

    if (!queue || !ret_message)
        return -EINVAL;
    int r = sh_handle_enter(&queue->handle);
    if (r < 0)
        return r;
    int refused = sh_block_alloc(SH_RING_INLINE, &block); /* for a message that lies in the ring */
    if (refused == 0)
        out = (struct sh_queue_out){.buffer = sh_at(block), .capacity = SH_RING_INLINE};
    r = get(sh_queue_body(queue), &out, 1, timeout); /* one in a block needs no room: so memory comes back */
    if (block && (r < 0 || out.block))
        sh_block_free(block);
    if (r < 0)
        return r == -EMSGSIZE ? refused : r;
    if (out.block)
        block = out.block;
    *ret_message = (struct shoal_message){.data = sh_at(block), .size = out.size, .block = block};
    return 0;
}

void shoal_message_release(struct shoal_message *message)
{
    if (!message || !message->block || sh_arena_enter() < 0)
        return;
    if (is_own_message(message))
        sh_block_free(message->block);
    *message = (struct shoal_message){0};
}

int shoal_queue_size(const shoal_queue *queue, uint64_t *ret_items, uint64_t *ret_bytes)
{
    int r = queue ? sh_handle_enter(&queue->handle) : -EINVAL;
    if (r < 0)
        return r;
    struct sh_queue_shared *shared = sh_queue_body(queue);
    /* Head first: what is put meanwhile is counted, what is got is not counted twice. */
    sh_position head = sh_load_acquire(&shared->head);
    if (ret_items)
        *ret_items = sh_queue_between(head, sh_load_acquire(&shared->tail));
    if (ret_bytes)
        *ret_bytes = sh_queue_bytes(shared);
    return 0;
}

int shoal_queue_is_closed(const shoal_queue *queue)
{
    int r = queue ? sh_handle_enter(&queue->handle) : -EINVAL;
    return r < 0 ? r : sh_load_acquire(&sh_queue_body(queue)->closed) == SH_QUEUE_CLOSED;
}
