/* scene.c - an arena that is put back and written over. */
#include "fuzz.h"

enum { REGIONS = 32, WORDS = 16 };

static struct fuzz_region regions[REGIONS];
static struct sh_word *words[WORDS];
static unsigned region_count, word_count;
static char *kept;
static uint64_t kept_size;

void fuzz_must(long r)
{
    if (r >= 0)
        return;
    fprintf(stderr, "the scene cannot be made: %s\n", shoal_strerror((int)r));
    abort();
}

void fuzz_arena(void)
{
    fuzz_must(shoal_arena_open(
        &(struct shoal_arena_options){SHOAL_OPTIONS(shoal_arena), .reserve = 64 << 20, .limit = 32 << 20}));
}

void fuzz_word(struct sh_word *word)
{
    if (word_count < WORDS)
        words[word_count++] = word;
}

void fuzz_region(uint64_t offset, uint64_t size)
{
    if (region_count < REGIONS)
        regions[region_count++] = (struct fuzz_region){offset, size};
}

void fuzz_region_slab(uint64_t offset)
{
    struct sh_block block;

    fuzz_must(sh_block_find(offset, &block));
    fuzz_region(sh_offset(block.slab), sh_min(block.slab->first, UINT64_C(256)));
}

void fuzz_region_map(void)
{
    fuzz_region(sh_arena.map_offset, sh_load_relaxed(&sh_arena.shared->top) * sizeof(uint64_t));
}

/* Of the head: not the mutexes, whose bytes libc trusts. */
static void add_head(void)
{
    uint64_t begin = offsetof(struct sh_arena_shared, word);

    fuzz_region(begin, offsetof(struct sh_arena_shared, reclaim) - begin);
    begin = offsetof(struct sh_arena_shared, burying);
    fuzz_region(begin, offsetof(struct sh_arena_shared, members) - begin);
    for (unsigned i = 0; i < 3; i++) {
        begin = offsetof(struct sh_arena_shared, members) + i * sizeof(struct sh_member) +
                offsetof(struct sh_member, state);
        fuzz_region(begin, sizeof(struct sh_member) - offsetof(struct sh_member, state));
    }
    fuzz_word(&sh_arena.shared->word);
}

void fuzz_keep(void)
{
    add_head();
    sh_block_flush();
    kept_size = sh_arena.heap_offset + sh_load_relaxed(&sh_arena.shared->top) * SH_GRANULE;
    kept = malloc(kept_size);
    if (!kept)
        abort();
    memcpy(kept, sh_arena.base, kept_size);
}

/* Where pages were given back since, or mutexes are held by this thread: only what differs is written. */
static void put_back(void)
{
    for (uint64_t at = 0; at < kept_size; at += 4096)
        if (memcmp(sh_arena.base + at, kept + at, 4096) != 0)
            memcpy(sh_arena.base + at, kept + at, 4096);
}

void fuzz_spoil(const uint8_t *data, size_t size)
{
    struct fuzz_patch patch;

    put_back();
    for (; size >= sizeof patch; data += sizeof patch, size -= sizeof patch) {
        memcpy(&patch, data, sizeof patch);
        const struct fuzz_region *region = &regions[patch.region % region_count];
        size_t width = (size_t)1 << (patch.width & 3);
        uint64_t value, at = patch.offset * UINT64_C(4) % region->size;
        memcpy(&value, patch.value, sizeof value);
        if (patch.width & 4)
            value = sh_arena.heap_offset + value % (kept_size - sh_arena.heap_offset);
        memcpy(sh_arena.base + region->offset + at, &value, sh_min(width, region->size - at));
    }
    for (unsigned i = 0; i < word_count; i++)
        sh_store_relaxed(&words[i]->value, sh_load_relaxed(&words[i]->value) & ~SH_WORD_ID);
}

void fuzz_done(void)
{
    sh_block_flush();
}

uint64_t fuzz_number(const uint8_t *data, size_t size)
{
    uint64_t number = 1469598103934665603u;

    for (size_t i = 0; i < size; i++)
        number = (number ^ data[i]) * 1099511628211u;
    return number;
}
