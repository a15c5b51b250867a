/* names.c - task functions by name. */
#include "pool/names.h"

#include "arena/block.h"
#include "base/crash.h"
#include "process/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MOST_NAMES 1000000

/* A name in the arena. Never changes once it is linked. */
struct sh_name {
    uint64_t next; /* offset of the one before; 0: none */
    uint64_t size; /* of text; a C function's name ends with 0 */
    char text[];
};

/* What this process has found so far: private memory. */
struct sh_names {
    struct sh_names *next;
    uint64_t word;
    shoal_task_function *function;
};

static int is_by_address(const struct sh_pool_shared *shared)
{
    return shared->start == SHOAL_START_FORK;
}

static uint64_t address_of(shoal_task_function *function)
{
    return (uint64_t)(uintptr_t)function;
}

/* --- main --- */

int sh_names_keep(shoal_pool *pool, const void *text, size_t size, uint64_t *ret_word)
{
    struct sh_pool_shared *shared = pool->shared;
    uint64_t offset;
    int r = sh_block_alloc(sizeof(struct sh_name) + size, &offset);

    if (r < 0)
        return r;
    struct sh_name *name = sh_at(offset);
    name->size = size;
    memcpy(name->text, text, size);
    sh_word_lock(&shared->put);
    name->next = sh_load_relaxed(&shared->names);
    sh_store_step(&shared->names, offset);
    SH_CRASH_POINT(pool_name_linked);
    sh_block_give(offset, SH_OWNER_PART);
    sh_word_unlock(&shared->put);
    *ret_word = offset;
    return 0;
}

/* Under the pool's mutex. */
static int tell(shoal_pool *pool, shoal_task_function *function, uint64_t *ret_word)
{
    for (struct sh_names *known = pool->names; known; known = known->next) {
        if (known->function == function) {
            *ret_word = known->word;
            return 0;
        }
    }
    const char *text = sh_registry_name((sh_registry_function *)(void (*)(void))function);
    if (!text)
        return -ENOENT;
    struct sh_names *names = malloc(sizeof *names);
    if (!names)
        return -ENOMEM;
    int r = sh_names_keep(pool, text, strlen(text) + 1, &names->word);
    if (r < 0) {
        free(names);
        return r;
    }
    names->function = function;
    names->next = pool->names;
    pool->names = names;
    *ret_word = names->word;
    return 0;
}

int sh_names_tell(shoal_pool *pool, shoal_task_function *function, uint64_t *ret_word)
{
    if (sh_likely(is_by_address(pool->shared))) {
        *ret_word = address_of(function);
        return 0;
    }
    pthread_mutex_lock(&pool->mutex);
    int r = tell(pool, function, ret_word);
    pthread_mutex_unlock(&pool->mutex);
    return r;
}

int sh_names_write(const struct sh_pool_shared *shared, shoal_pool_initializer *function, struct sh_pool_hook *ret_hook)
{
    *ret_hook = (struct sh_pool_hook){.address = (uint64_t)(uintptr_t)function};
    if (!function || is_by_address(shared))
        return 0;
    const char *text = sh_registry_name((sh_registry_function *)(void (*)(void))function);
    if (!text)
        return -ENOENT;
    strncpy(ret_hook->name, text, sizeof ret_hook->name - 1);
    return 0;
}

void sh_names_forget(shoal_pool *pool)
{
    while (pool->names) {
        struct sh_names *next = pool->names->next;
        free(pool->names);
        pool->names = next;
    }
}

/* --- workers --- */

static struct sh_names *found; /* a worker has one thread that runs tasks */

shoal_task_function *sh_names_find(const struct sh_pool_shared *shared, uint64_t word)
{
    if (sh_likely(is_by_address(shared)))
        return (shoal_task_function *)(uintptr_t)word;
    for (const struct sh_names *known = found; known; known = known->next)
        if (known->word == word)
            return known->function;
    const struct sh_name *name = sh_at(word);
    sh_registry_function *function = sh_registry_find(name->text);
    struct sh_names *names = function ? malloc(sizeof *names) : NULL;
    if (names) {
        *names =
            (struct sh_names){.next = found, .word = word, .function = (shoal_task_function *)(void (*)(void))function};
        found = names;
    }
    return (shoal_task_function *)(void (*)(void))function;
}

struct shoal_bytes sh_names_text(uint64_t word)
{
    const struct sh_name *name = sh_at(word);
    return (struct shoal_bytes){.data = name->text, .size = name->size};
}

shoal_pool_initializer *sh_names_read(const struct sh_pool_shared *shared, const struct sh_pool_hook *hook)
{
    if (is_by_address(shared))
        return (shoal_pool_initializer *)(uintptr_t)hook->address;
    return (shoal_pool_initializer *)(void (*)(void))sh_registry_find(hook->name);
}

/* --- when main, or everybody, has gone --- */

/* The newest name; 0 where there is none, or something else was written there. */
static uint64_t newest(struct sh_pool_shared *shared)
{
    uint64_t offset = sh_load_relaxed(&shared->names);

    return offset && sh_block_capacity(offset) >= sizeof(struct sh_name) ? offset : 0;
}

void sh_names_destroy(struct sh_pool_shared *shared)
{
    uint64_t offset;

    for (int n = 0; n < MOST_NAMES && (offset = newest(shared)) != 0; n++) { /* more would go round in circles */
        sh_block_give(offset, sh_member_tag());
        sh_store_step(&shared->names, ((struct sh_name *)sh_at(offset))->next);
        sh_block_free(offset);
    }
}

void sh_names_bury(struct sh_pool_shared *shared, uint32_t tag)
{
    uint64_t offset = newest(shared);

    if (offset && sh_block_owner(offset) == tag)
        sh_store_relaxed(&shared->names, ((struct sh_name *)sh_at(offset))->next);
}
