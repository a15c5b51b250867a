/* block.c - taking and giving back blocks. */
#include "arena/block.h"

#include "arena/slab.h"
#include "base/crash.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define CACHED_CLASSES 16 /* up to 1 KiB */
#define CACHED_BLOCKS 8   /* of each class */
#define TOGETHER 65536    /* bytes around a page that the kernel maps with it */
#define LOW_FIRST 16      /* slabs of so few blocks are searched from the begin: the warmest block is reused first */

/* What a thread keeps: blocks of its own that it has freed, and where it found one last. Private memory. */
struct cache {
    uint32_t epoch; /* of the process that the blocks belong to: a forked child forgets them */
    struct {
        uint32_t count;
        uint64_t offsets[CACHED_BLOCKS];
    } kept[CACHED_CLASSES];
    struct {
        struct sh_slab *slab; /* one that stays: those whose blocks come and go with them are of no class */
        uint64_t bytes;       /* of its span */
        uint32_t index;
    } found[SH_CLASS_COUNT];
};

static _Thread_local struct cache *cache_of_thread __attribute__((tls_model("initial-exec")));
static pthread_key_t cache_key;
static int has_cache_key; /* 0: there was none to be had, and blocks are not cached */
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

static void empty(struct cache *cache)
{
    int is_ours = cache->epoch == sh_thread_process_epoch();

    for (uint32_t class = 0; class < CACHED_CLASSES; class ++) {
        for (uint32_t i = 0; is_ours && i < cache->kept[class].count; i++) {
            struct sh_block block;
            if (sh_block_find(cache->kept[class].offsets[i], &block) == 0)
                sh_slab_share(&block);
        }
        cache->kept[class].count = 0;
    }
}

static void give_up_cache(void *value)
{
    cache_of_thread = NULL;
    empty(value);
    free(value);
}

void sh_block_flush(void)
{
    if (cache_of_thread)
        empty(cache_of_thread);
}

static void make_cache_key(void)
{
    has_cache_key = pthread_key_create(&cache_key, give_up_cache) == 0;
}

/* This thread's cache, or NULL where there is no memory for one. */
static struct cache *own_cache(void)
{
    struct cache *cache = cache_of_thread;
    uint32_t epoch = sh_thread_process_epoch();

    if (sh_likely(cache && cache->epoch == epoch))
        return cache;
    if (!cache) {
        pthread_once(&cache_once, make_cache_key);
        cache = has_cache_key ? malloc(sizeof *cache) : NULL;
        if (!cache)
            return NULL;
        if (pthread_setspecific(cache_key, cache) != 0) {
            free(cache);
            return NULL;
        }
        cache_of_thread = cache;
    }
    *cache = (struct cache){.epoch = epoch};
    return cache;
}

/* Take block index where it is free. */
static int claim(struct sh_slab *slab, uint32_t index)
{
    uint32_t owner = SH_OWNER_FREE;

    return sh_load_relaxed(&slab->owners[index]) == SH_OWNER_FREE &&
           sh_cas_acquire(&slab->owners[index], &owner, sh_member_tag());
}

/* Take any free block of the slab, looking from index start on. -ENOENT where there is none. */
static int claim_any(struct sh_slab *slab, uint32_t start, uint32_t *ret_index)
{
    uint32_t blocks = slab->blocks;

    if (start >= blocks)
        start = 0;
    for (uint32_t pass = 0; pass < 2; pass++) {
        if (pass)
            sh_store_ordered(&slab->maybe_free, 0); /* then look once more: a block may have come between */
        for (uint32_t n = 0; n < blocks; n++) {
            uint32_t index = start + n < blocks ? start + n : start + n - blocks;
            if (claim(slab, index)) {
                if (pass)
                    sh_store_relaxed(&slab->maybe_free, 1);
                *ret_index = index;
                return 0;
            }
        }
    }
    return -ENOENT;
}

/* Take a block of the slab where the last one was found. */
static int claim_where_found(uint32_t class, struct cache *cache, struct sh_block *ret_block)
{
    struct sh_slab *slab = cache ? cache->found[class].slab : NULL;

    if (!slab || !sh_load_relaxed(&slab->maybe_free) || !sh_slab_fits(slab, cache->found[class].bytes))
        return -ENOENT;
    uint32_t start = slab->blocks > LOW_FIRST ? cache->found[class].index : 0;
    int r = claim_any(slab, start, &ret_block->index);
    if (r < 0)
        return r;
    ret_block->slab = slab;
    cache->found[class].index = ret_block->index + 1 < slab->blocks ? ret_block->index + 1 : 0;
    return 0;
}

static void note_found(struct cache *cache, uint32_t class, const struct sh_block *block)
{
    struct sh_span span;

    if (!cache || sh_span_lookup(sh_offset(block->slab), &span) < 0)
        return;
    cache->found[class].slab = block->slab;
    cache->found[class].bytes = span.length * SH_GRANULE;
    cache->found[class].index = block->index + 1 < block->slab->blocks ? block->index + 1 : 0;
}

/* Find and take a block of a class, in the slab of the last find, then in the others, then in a new one. */
static int claim_of_class(uint32_t class, struct cache *cache, struct sh_block *ret_block)
{
    if (claim_where_found(class, cache, ret_block) == 0)
        return 0;
    struct sh_slab *slab = sh_slab_at(sh_load_acquire(&sh_arena.shared->slabs[class]), class);
    for (; slab; slab = sh_slab_older(slab)) {
        if (sh_load_relaxed(&slab->maybe_free) && claim_any(slab, 0, &ret_block->index) == 0) {
            ret_block->slab = slab;
            note_found(cache, class, ret_block);
            return 0;
        }
    }
    return sh_slab_add(class, ret_block);
}

static uint64_t offset_of(const struct sh_block *block)
{
    return sh_offset(block->slab) + block->slab->first + block->index * block->slab->block_size;
}

int sh_block_alloc(uint64_t size, uint64_t *ret_offset)
{
    uint32_t class = sh_block_class_of(size);
    struct sh_block block;
    int r;

    if (class == SH_CLASS_DIRECT) {
        r = sh_slab_take_direct(size, &block);
    } else {
        struct cache *cache = own_cache();
        if (cache && class < CACHED_CLASSES && cache->kept[class].count > 0) {
            *ret_offset = cache->kept[class].offsets[--cache->kept[class].count];
            return 0;
        }
        r = claim_of_class(class, cache, &block);
    }
    if (r == 0)
        r = sh_slab_warm_up(&block);
    if (r < 0)
        return r;
    SH_CRASH_POINT(block_taken);
    *ret_offset = offset_of(&block);
    return 0;
}

void sh_block_touch(uint64_t offset, uint64_t size)
{
    for (uint64_t at = 0; at < size; at += TOGETHER)
        (void)*(volatile char *)sh_at(offset + at);
}

void sh_block_free(uint64_t offset)
{
    struct sh_block block;

    if (sh_block_find(offset, &block) < 0)
        return;
    struct sh_slab *slab = block.slab;
    if (slab->class < CACHED_CLASSES) {
        struct cache *cache = own_cache();
        if (cache && cache->kept[slab->class].count < CACHED_BLOCKS) {
            sh_store_release(&slab->owners[block.index], sh_member_tag());
            cache->kept[slab->class].offsets[cache->kept[slab->class].count++] = offset;
            return;
        }
    } else if (slab->paged) {
        sh_store_release(&slab->owners[block.index], sh_member_tag());
        if (sh_slab_cool_down(&block))
            return; /* the slab is gone, or its block shared */
    }
    sh_slab_share(&block);
}

void sh_block_share(uint64_t offset)
{
    struct sh_block block;

    if (sh_block_find(offset, &block) < 0)
        return;
    if (block.slab->paged)
        sh_add_ordered(&sh_arena.shared->warm, (int64_t)block.slab->block_size);
    sh_slab_share(&block);
}

void sh_block_give(uint64_t offset, uint32_t owner)
{
    struct sh_block block;

    if (sh_block_find(offset, &block) == 0)
        sh_store_release(&block.slab->owners[block.index], owner);
    sh_compiler_barrier(); /* a step of its caller's protocol: see sh_store_step */
}

int sh_block_move(uint64_t offset, uint32_t from, uint32_t to)
{
    struct sh_block block;

    return sh_block_find(offset, &block) == 0 && sh_cas_ordered(&block.slab->owners[block.index], &from, to);
}

int sh_block_find(uint64_t offset, struct sh_block *ret_block)
{
    struct sh_span span;

    struct sh_slab *slab = sh_span_lookup(offset, &span) < 0 ? NULL : sh_slab_of(&span);
    if (!slab)
        return -EINVAL;
    uint64_t inside = offset - sh_offset(slab);
    if (inside < slab->first)
        return -EINVAL;
    uint64_t distance = inside - slab->first;
    uint64_t index;
    if (distance == 0)
        index = 0;
    else if ((distance | slab->block_size) <= UINT32_MAX) /* a 32-bit division takes half the time */
        index = (uint32_t)distance / (uint32_t)slab->block_size;
    else
        index = distance / slab->block_size;
    if (index >= slab->blocks || index * slab->block_size != distance)
        return -EINVAL;
    *ret_block = (struct sh_block){.slab = slab, .index = (uint32_t)index};
    return 0;
}

uint32_t sh_block_owner(uint64_t offset)
{
    struct sh_block block;

    return sh_block_find(offset, &block) < 0 ? SH_OWNER_FREE : sh_load_acquire(&block.slab->owners[block.index]);
}

uint64_t sh_block_capacity(uint64_t offset)
{
    struct sh_block block;

    return sh_block_find(offset, &block) < 0 ? 0 : block.slab->block_size;
}

int sh_block_walk(sh_block_visitor *visit, void *context)
{
    struct sh_span span;

    for (uint64_t head = 0; sh_span_at(head, &span); head += span.length) {
        struct sh_slab *slab = sh_slab_of(&span);
        if (!slab)
            continue;
        for (uint32_t index = 0; index < slab->blocks; index++) {
            uint32_t owner = sh_load_acquire(&slab->owners[index]);
            if (owner == SH_OWNER_FREE)
                continue;
            int r = visit(offset_of(&(struct sh_block){slab, index}), owner, slab->block_size, context);
            if (r)
                return r;
        }
    }
    return 0;
}

uint64_t sh_block_reclaim(uint32_t tag)
{
    struct sh_span span;
    uint64_t count = 0;

    for (uint64_t head = 0; sh_span_at(head, &span); head += span.length) {
        struct sh_slab *slab = sh_slab_of(&span);
        if (!slab)
            continue;
        for (uint32_t index = 0; index < slab->blocks; index++) {
            if (sh_load_acquire(&slab->owners[index]) != tag)
                continue;
            count++;
            int is_direct = slab->class == SH_CLASS_DIRECT; /* then the slab goes with its block */
            sh_slab_reclaim(&(struct sh_block){slab, index});
            if (is_direct)
                break;
        }
    }
    sh_slab_recount_warm();
    return count;
}
