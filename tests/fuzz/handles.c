/* handles.c - refs and messages of arbitrary bytes, and calls to restart a program with. */
#include "fuzz.h"
#include "process/again.h"
#include "process/registry.h"

static shoal_queue *queue;
static shoal_ref refs[7];

static int take_part(void *argument, size_t size)
{
    (void)argument;
    return (int)size;
}
SHOAL_REGISTER(take_part)

static void make_scene(void)
{
    struct shoal_semaphore_options permits = {SHOAL_OPTIONS(shoal_semaphore), .flags = SHOAL_SEMAPHORE_OWNED,
                                              .value = 3};
    shoal_lock *lock;
    shoal_semaphore *semaphore;
    shoal_condition *condition;
    shoal_event *event;
    shoal_barrier *barrier;
    shoal_pipe *first, *second;

    fuzz_arena();
    fuzz_must(shoal_queue_open(NULL, &queue));
    fuzz_must(shoal_queue_ref(queue, &refs[0]));
    fuzz_must(shoal_lock_open(NULL, &lock));
    fuzz_must(shoal_lock_ref(lock, &refs[1]));
    fuzz_must(shoal_semaphore_open(&permits, &semaphore));
    fuzz_must(shoal_semaphore_ref(semaphore, &refs[2]));
    fuzz_must(shoal_condition_open(&condition));
    fuzz_must(shoal_condition_ref(condition, &refs[3]));
    fuzz_must(shoal_event_open(&event));
    fuzz_must(shoal_event_ref(event, &refs[4]));
    fuzz_must(shoal_barrier_open(3, &barrier));
    fuzz_must(shoal_barrier_ref(barrier, &refs[5]));
    fuzz_must(shoal_pipe_open(SHOAL_PIPE_DUPLEX, &first, &second));
    fuzz_must(shoal_pipe_ref(first, &refs[6]));
    fuzz_region(refs[6].offset, 256); /* a pipe's body names other objects */
    fuzz_region(refs[0].offset, sizeof(struct sh_object));
    fuzz_region_slab(refs[6].offset);
    fuzz_keep();
}

#define TRY(noun, ref)                                                                                                 \
    do {                                                                                                               \
        shoal_##noun *handle;                                                                                          \
        if (shoal_##noun##_attach(ref, &handle) == 0)                                                                  \
            shoal_##noun##_free(handle);                                                                               \
    } while (0)

static void attach_all(const shoal_ref *ref)
{
    TRY(queue, ref);
    TRY(lock, ref);
    TRY(semaphore, ref);
    TRY(condition, ref);
    TRY(event, ref);
    TRY(barrier, ref);
    TRY(pipe, ref);
}

/* A true ref, with bytes of the input put over it. */
static void try_refs(const uint8_t *data, size_t size)
{
    for (unsigned i = 0; i < sizeof refs / sizeof *refs; i++) {
        shoal_ref ref = refs[i];
        if (size > 1)
            memcpy((char *)&ref + data[0] % sizeof ref, data + 1, sh_min(size - 1, sizeof ref - data[0] % sizeof ref));
        attach_all(&ref);
        attach_all(&refs[i]);
    }
}

static void try_messages(const uint8_t *data, size_t size)
{
    struct shoal_message message = {0};

    memcpy(&message, data, sh_min(size, sizeof message));
    shoal_queue_send(queue, &message, 0);
    shoal_message_release(&message);
}

static void try_calls(const uint8_t *data, size_t size)
{
    struct sh_again_call call = {.function = "take_part"};
    struct sh_start start;

    memcpy((char *)&call + (size > sizeof call / 2 ? 0 : sizeof call.function), data,
           sh_min(size, sizeof call - sizeof call.function));
    if (sh_again_prepare(&call, &start) == 0)
        free(start.argument);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t tag;

    if (!queue)
        make_scene();
    fuzz_spoil(data, size);
    try_refs(data, size);
    try_messages(data, size);
    try_calls(data, size);
    tag = sh_member_tag() + 1;
    sh_object_inherit_named(tag, refs, sizeof refs);
    sh_object_inherit_named(tag, data, size);
    fuzz_done();
    return 0;
}
