/* arena.c - making and mapping the family's arena. */
#include "arena/arena.h"

#include "arena/block.h"
#include "arena/handles.h"
#include "arena/object.h"
#include "arena/reclaim.h"
#include "base/check.h"
#include "os/identity.h"
#include "os/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_RESERVE (UINT64_C(1) << 40)
#define MINIMUM (UINT64_C(1) << 20)
#define MAXIMUM_DIRECT (UINT64_C(4) << 20)
#define ARENA_NAME "shoal"

struct sh_arena sh_arena = {.fd = -1};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    pthread_mutex_lock(&mutex);
    sh_handles_lock();
}

static void after_fork(void)
{
    sh_handles_unlock();
    pthread_mutex_unlock(&mutex);
}

static void follow_forks(void)
{
    pthread_atfork(before_fork, after_fork, after_fork);
}

/* Bytes from a text like 64M; 0 where it is none. */
static uint64_t parse_size(const char *text)
{
    char *end;
    uint64_t number = text ? strtoull(text, &end, 10) : 0;

    if (!text || end == text)
        return 0;
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    return (*end && (!shift || end[1])) || number > UINT64_MAX >> shift ? 0 : number << shift;
}

static uint64_t default_limit(void)
{
    uint64_t asked = parse_size(getenv("SHOAL_ARENA_LIMIT"));
    return asked ? sh_max(asked, MINIMUM) : sh_memory_total() / 5 * 4;
}

static uint64_t head_size(void)
{
    return sh_round_up((uint64_t)sizeof(struct sh_arena_shared), (uint64_t)SH_GRANULE);
}

/* Map as much of the wanted reserve as there are addresses for. */
static int map_reserve(uint64_t wanted, int *ret_fd, uint64_t *ret_reserve, void **ret_base)
{
    uint64_t reserve = sh_min(wanted, sh_memory_max_reserve()) & ~(uint64_t)(SH_GRANULE - 1);

    for (; reserve >= MINIMUM; reserve = reserve / 2 & ~(uint64_t)(SH_GRANULE - 1)) {
        int fd = sh_memory_create(ARENA_NAME, reserve);
        if (fd < 0)
            return fd;
        if (sh_memory_map(fd, reserve, ret_base) == 0) {
            *ret_fd = fd;
            *ret_reserve = reserve;
            return 0;
        }
        sh_memory_close(fd);
    }
    return -ENOMEM;
}

/* Blocks above this size have a span of their own: of a small reserve no class may take too much. */
static uint64_t direct_minimum(uint64_t reserve)
{
    uint64_t most = sh_min(MAXIMUM_DIRECT, reserve / 1024);
    return most <= SH_GRANULE ? SH_GRANULE : UINT64_C(1) << sh_log2(most);
}

/* Where all lies in an arena of this reserve. */
static struct sh_arena lay_out(void *base, int fd, uint64_t reserve)
{
    uint64_t map_size = reserve / SH_GRANULE * sizeof(uint64_t);
    uint64_t heap_offset = sh_round_up(head_size() + map_size, (uint64_t)SH_GRANULE);

    return (struct sh_arena){
        .base = base,
        .shared = base,
        .reserve = reserve,
        .map_offset = head_size(),
        .heap_offset = heap_offset,
        .direct_minimum = direct_minimum(reserve),
        .granules = (reserve - heap_offset) / SH_GRANULE,
        .fd = fd,
    };
}

static int fill_head(struct sh_arena_shared *shared, uint64_t reserve, uint64_t limit)
{
    int r = sh_identity_namespace(&shared->pid_namespace);

    if (r < 0)
        return r;
    shared->layout = SH_ARENA_LAYOUT;
    shared->page_size = (uint32_t)sh_memory_page_size();
    shared->family = sh_identity_random();
    shared->reserve = reserve;
    shared->limit = limit;
    shared->committed = head_size();
    shared->magic = SH_ARENA_MAGIC;
    return sh_mutex_init(&shared->reclaim);
}

static int make(uint64_t reserve, uint64_t limit)
{
    void *base;
    int fd;
    int r = map_reserve(reserve, &fd, &reserve, &base);

    if (r < 0)
        return r;
    r = sh_memory_reserve(fd, 0, head_size());
    if (r == 0)
        r = fill_head(base, reserve, limit);
    if (r < 0) {
        sh_memory_unmap(base, reserve);
        sh_memory_close(fd);
        return r;
    }
    sh_arena = lay_out(base, fd, reserve);
    return 0;
}

static void look_for_dead(void)
{
    if (sh_member_is_attached()) {
        sh_member_adopt();
        sh_reclaim_dead();
    }
}

/* Attach this process to the arena that is mapped. */
static int attach(uint32_t expected)
{
    int r = expected ? sh_member_take_over(expected) : sh_member_attach();

    if (r < 0)
        return r;
    if (!expected)
        sh_object_inherit(sh_member_tag());
    sh_word_on_backstop = look_for_dead;
    sh_store_release(&sh_member_self.epoch, sh_thread_process_epoch());
    return 0;
}

int sh_arena_enter_as(uint32_t expected)
{
    int r = 0;

    pthread_once(&fork_once, follow_forks);
    pthread_mutex_lock(&mutex);
    if (!sh_arena.base)
        r = make(DEFAULT_RESERVE, default_limit());
    if (r == 0 && !sh_member_is_attached())
        r = attach(expected);
    pthread_mutex_unlock(&mutex);
    if (r == 0 && sh_member_is_crowded())
        sh_reclaim_wait();
    return r;
}

int sh_arena_enter_slowly(void)
{
    return sh_arena_enter_as(0);
}

/* What a mapping of a descriptor must be to be this library's arena. */
static int verify(const struct sh_arena_shared *shared, uint64_t size)
{
    uint64_t namespace;

    if (shared->magic != SH_ARENA_MAGIC || shared->reserve != size)
        return -EINVAL;
    if (shared->layout != SH_ARENA_LAYOUT || shared->page_size != sh_memory_page_size())
        return -EPROTO;
    int r = sh_identity_namespace(&namespace);
    if (r < 0)
        return r;
    return shared->pid_namespace && namespace && shared->pid_namespace != namespace ? -EXDEV : 0;
}

int sh_arena_join(int fd)
{
    uint64_t size;
    void *base;
    int r = sh_memory_size(fd, &size);

    if (r < 0)
        return r;
    if (size < MINIMUM || size % SH_GRANULE)
        return -EINVAL;
    pthread_once(&fork_once, follow_forks);
    pthread_mutex_lock(&mutex);
    r = sh_arena.base ? -EBUSY : sh_memory_map(fd, size, &base);
    if (r == 0) {
        r = verify(base, size);
        if (r < 0)
            sh_memory_unmap(base, size);
        else
            sh_arena = lay_out(base, fd, size);
    }
    pthread_mutex_unlock(&mutex);
    return r;
}

int sh_arena_charge(uint64_t size)
{
    struct sh_arena_shared *shared = sh_arena.shared;
    uint64_t now = sh_load_relaxed(&shared->committed);

    if (now > shared->limit || size > shared->limit - now)
        return -ENOMEM;
    sh_store_step(&shared->committed, now + size);
    return 0;
}

void sh_arena_refund(uint64_t size)
{
    sh_store_step(&sh_arena.shared->committed, sh_load_relaxed(&sh_arena.shared->committed) - size);
}

int sh_arena_reserve(uint64_t offset, uint64_t size)
{
    return sh_memory_reserve(sh_arena.fd, offset, size);
}

void sh_arena_release(uint64_t offset, uint64_t size)
{
    sh_memory_release(sh_arena.fd, offset, size);
}

int shoal_arena_open(const struct shoal_arena_options *options)
{
    uint64_t limit = options ? options->limit : 0;
    uint64_t reserve = options ? options->reserve : 0;
    int r = -EBUSY;

    if (options && options->size != sizeof *options)
        return -EINVAL;
    if ((limit && limit < MINIMUM) || (reserve && reserve < MINIMUM))
        return -EINVAL;
    limit = limit ? sh_round_up(limit, (uint64_t)SH_GRANULE) : default_limit();
    pthread_once(&fork_once, follow_forks);
    pthread_mutex_lock(&mutex);
    if (!sh_arena.base) {
        r = make(reserve ? reserve : DEFAULT_RESERVE, limit);
        if (r == 0)
            r = attach(0);
    }
    pthread_mutex_unlock(&mutex);
    return r;
}

int sh_arena_check(void)
{
    struct sh_arena_shared *shared = sh_arena.shared;

    SH_HOLDS(shared->magic == SH_ARENA_MAGIC);
    SH_HOLDS(shared->reserve == sh_arena.reserve);
    SH_HOLDS(sh_load_relaxed(&shared->member_top) <= SH_MEMBERS_MAX);
    SH_HOLDS(sh_load_relaxed(&shared->committed) <= shared->limit);
    int r = sh_block_check();
    return r ? r : sh_object_check();
}
