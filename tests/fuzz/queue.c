/* queue.c - a queue whose shared memory was written over: body, rings, records, blocks. */
#include "queue/queue.h"

#include "fuzz.h"
#include "queue/side.h"

enum { LARGE = 5000, MANY = 400 };

static shoal_queue *queue;
static char bytes[LARGE + 1];

static void make_scene(void)
{
    struct shoal_queue_options options = {SHOAL_OPTIONS(shoal_queue), .flags = SHOAL_QUEUE_JOINABLE};
    uint64_t second = 0;

    fuzz_arena();
    fuzz_must(shoal_queue_open(&options, &queue));
    struct sh_queue_shared *shared = sh_queue_body(queue);
    for (int i = 0; i < MANY; i++) {
        fuzz_must(shoal_queue_put(queue, bytes, i % 7 == 0 ? LARGE : (size_t)i % 60, 0));
        if (i == 10)
            fuzz_must(shoal_queue_get(queue, bytes, sizeof bytes, 0));
    }
    fuzz_must(shoal_queue_put(queue, bytes, 0, 0));
    second = sh_load_relaxed(&shared->tail_ring);
    fuzz_region(sh_offset(shared), offsetof(struct sh_queue_shared, first_data) + 256);
    fuzz_region(sh_offset(shared) + offsetof(struct sh_queue_shared, tail_word), 256);
    fuzz_region(sh_offset(shared) + offsetof(struct sh_queue_shared, first), sizeof shared->first_data);
    fuzz_region(sh_offset(shared) + offsetof(struct sh_queue_shared, join), 64);
    fuzz_region(second, 4096);
    fuzz_region_slab(sh_offset(shared));
    fuzz_region_slab(second);
    fuzz_region_map();
    fuzz_word(&shared->tail_word);
    fuzz_word(&shared->head_word);
    fuzz_word(&shared->join->word);
    fuzz_keep();
}

static void get_all(void)
{
    struct shoal_bytes got[8];
    struct shoal_message message;

    for (int i = 0; i < MANY + 10; i++) {
        ssize_t r;
        if (i % 50 == 7)
            r = shoal_queue_get_many(queue, bytes, sizeof bytes, got, 8, 0);
        else if (i % 50 == 9) {
            r = shoal_queue_receive(queue, &message, 0);
            if (r == 0)
                shoal_message_release(&message);
        } else {
            r = shoal_queue_get(queue, bytes, i % 2 ? sizeof bytes : 100, 0);
            if (r == -EMSGSIZE)
                r = shoal_queue_get(queue, bytes, sizeof bytes, 0);
        }
        if (r < 0)
            break;
    }
}

static void put_some(void)
{
    struct shoal_bytes many[3] = {{bytes, 10}, {bytes, 0}, {bytes, LARGE}};
    struct shoal_message message;

    shoal_queue_put(queue, bytes, 100, 0);
    shoal_queue_put(queue, bytes, LARGE, 0);
    shoal_queue_put_many(queue, many, 3, 0);
    if (shoal_queue_loan(queue, 200, &message) == 0 && shoal_queue_send(queue, &message, 0) < 0)
        shoal_message_release(&message);
}

static void use(uint64_t number)
{
    struct sh_object *object = &sh_queue_body(queue)->object;
    uint64_t items, size;
    shoal_queue *again;
    shoal_ref ref;

    sh_queue_check(object);
    shoal_queue_size(queue, &items, &size);
    if (number & 1)
        put_some();
    get_all();
    put_some();
    shoal_queue_task_done(queue);
    shoal_queue_join(queue, 0);
    shoal_queue_unfinished(queue, &items);
    if (shoal_queue_ref(queue, &ref) == 0 && shoal_queue_attach(&ref, &again) == 0)
        shoal_queue_free(again);
    if (number & 2)
        shoal_queue_close(queue);
    shoal_queue_is_closed(queue);
    sh_queue_check(object);
    sh_queue_kind.bury(object, (uint32_t)number);
    if (number & 4)
        sh_queue_kind.destroy(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!queue)
        make_scene();
    fuzz_spoil(data, size);
    use(fuzz_number(data, size));
    fuzz_done();
    return 0;
}
