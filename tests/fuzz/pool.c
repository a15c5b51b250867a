/* pool.c - a pool whose shared memory was written over, as its checks and burials see it.
 * (What runs, a worker takes from the jobs as they are: see docs/design/trust.md.) */
#include "pool/pool.h"

#include "fuzz.h"
#include "pool/turn.h"

enum { JOBS = 20 };

static shoal_pool *pool;

static int nothing(shoal_task *task)
{
    (void)task;
    return 0;
}

/* A pool that has no processes, with jobs that nobody takes. */
static void make_scene(void)
{
    struct shoal_pool_options options = {SHOAL_OPTIONS(shoal_pool), .workers = 3};
    static char items[JOBS][200];
    shoal_future *future;

    fuzz_arena();
    fuzz_must(sh_pool_create(&options, &pool));
    for (int i = 0; i < JOBS; i++)
        fuzz_must(shoal_pool_submit(pool, NULL, nothing, items, sizeof items[0], i % 3 ? 1 : JOBS, &future));
    struct sh_pool_shared *shared = pool->shared;
    uint64_t jobs = sh_load_relaxed(&shared->segments[0]);
    fuzz_region(sh_offset(shared), offsetof(struct sh_pool_shared, post));
    fuzz_region(sh_offset(shared) + offsetof(struct sh_pool_shared, put), 256);
    fuzz_region(sh_offset(shared->worker), 3 * sizeof shared->worker[0]);
    fuzz_region(jobs, 10 * sizeof(struct sh_job));
    fuzz_region_slab(sh_offset(shared));
    fuzz_region_map();
    fuzz_word(&shared->put);
    fuzz_word(&shared->take);
    fuzz_word(&shared->event);
    fuzz_word(&shared->idle);
    fuzz_keep();
}

static void use(uint64_t number)
{
    struct sh_object *object = &pool->shared->object;

    sh_pool_kind.check(object);
    sh_pool_kind.bury(object, (uint32_t)number);
    sh_pool_kind.bury(object, sh_member_tag());
    if (number & (UINT64_C(1) << 40))
        sh_pool_kind.destroy(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!pool)
        make_scene();
    fuzz_spoil(data, size);
    use(fuzz_number(data, size));
    fuzz_done();
    return 0;
}
