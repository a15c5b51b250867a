/* slab.c - slabs and the pages under their blocks. */
#include "arena/slab.h"

#include "base/crash.h"
#include "os/memory.h"

#include <errno.h>
#include <string.h>

#define SMALL_CLASSES 16      /* multiples of 64 bytes */
#define SMALL_STEP 64u        /* and their distance */
#define PACKED_MAXIMUM 16384u /* slabs of blocks up to this size have their pages all at once */
#define SLAB_BLOCKS 8u        /* blocks a slab has at least */
#define SLAB_GRANULES 64u     /* granules of the largest slab of small blocks */
#define WARM_MINIMUM (UINT64_C(64) << 20)
#define WARM_SHARE 32 /* of the memory limit, one part in so many may be kept warm */

/* What committed[i] says of a block's pages. CHANGING while its owner has them reserved or released, which takes long:
 * who reclaims such a block from a dead owner releases them. They are charged unless it says NOT_RESERVED, and go from
 * and to that under the arena's word. */
enum { NOT_RESERVED, RESERVED, CHANGING };

uint64_t sh_block_class_size(uint32_t class)
{
    if (class < SMALL_CLASSES)
        return (class + 1) * SMALL_STEP;
    uint32_t doubling = (class - SMALL_CLASSES) / 4, quarter = (class - SMALL_CLASSES) % 4;
    return (UINT64_C(1024) << doubling) + ((UINT64_C(256) << doubling) * (quarter + 1));
}

uint32_t sh_block_class_of(uint64_t size)
{
    if (size <= SMALL_CLASSES * SMALL_STEP)
        return size == 0 ? 0 : (uint32_t)((size - 1) / SMALL_STEP);
    if (size > sh_arena.direct_minimum)
        return SH_CLASS_DIRECT;
    unsigned power = sh_log2(size - 1); /* 2^power < size <= 2^(power + 1) */
    return SMALL_CLASSES + (power - 10) * 4 + (uint32_t)((size - 1 - (UINT64_C(1) << power)) >> (power - 2));
}

static _Atomic uint8_t *committed(const struct sh_slab *slab, uint32_t index)
{
    return (_Atomic uint8_t *)(void *)(uintptr_t)&slab->owners[slab->blocks] + index;
}

int sh_slab_is_committed(const struct sh_slab *slab, uint32_t index)
{
    return !slab->paged || sh_load_acquire(committed(slab, index)) == RESERVED;
}

void sh_block_lock_arena(void)
{
    if (sh_word_lock(&sh_arena.shared->word) == SHOAL_OWNER_DIED)
        sh_block_recover();
}

struct sh_slab *sh_slab_at(uint64_t offset, uint32_t class)
{
    struct sh_span span;
    struct sh_slab *slab = offset && sh_span_lookup(offset, &span) == 0 ? sh_slab_of(&span) : NULL;

    return slab && sh_offset(slab) == offset && slab->class == class ? slab : NULL;
}

struct sh_slab *sh_slab_older(const struct sh_slab *slab)
{
    struct sh_slab *older = sh_slab_at(slab->next, slab->class);

    return older && older->ordinal < slab->ordinal ? older : NULL;
}

static uint64_t first_block(uint32_t blocks, uint64_t block_size, int paged)
{
    uint64_t header = sizeof(struct sh_slab) + blocks * sizeof(uint32_t) + (paged ? blocks : 0);

    return sh_round_up(header, block_size >= 4096 || paged ? UINT64_C(4096) : UINT64_C(64));
}

/* Lay out a slab of this class that is the ordinal-th one: later ones are larger. Returns its granules. */
static uint64_t lay_out(struct sh_slab *slab)
{
    uint64_t size = slab->block_size;

    slab->paged = size > PACKED_MAXIMUM;
    if (slab->paged) {
        slab->blocks = SLAB_BLOCKS;
    } else {
        uint64_t most = sh_max(sh_min((uint64_t)SLAB_GRANULES, sh_arena.reserve / SH_GRANULE / 64), UINT64_C(1));
        uint64_t bytes = sh_min(UINT64_C(1) << sh_min(slab->ordinal / 2, 10u), most) * SH_GRANULE;
        bytes = sh_max(bytes, sh_round_up(size * SLAB_BLOCKS, (uint64_t)SH_GRANULE));
        slab->blocks = (uint32_t)((bytes - sizeof *slab - 64) / (size + sizeof(uint32_t)));
        while (first_block(slab->blocks, size, 0) + slab->blocks * size > bytes)
            slab->blocks--;
    }
    slab->first = first_block(slab->blocks, size, (int)slab->paged);
    return sh_round_up(slab->first + slab->blocks * size, (uint64_t)SH_GRANULE) / SH_GRANULE;
}

/* Make the slab that plan describes in a span of this length, its first block being this process's. The arena's word
 * is held. */
static int publish(const struct sh_slab *plan, uint64_t length, struct sh_slab **ret_slab)
{
    uint64_t head;
    int r = sh_span_find(length, &head);

    if (r < 0)
        return r;
    uint64_t offset = sh_span_offset(head);
    uint64_t pages = plan->paged ? plan->first : length * SH_GRANULE;
    r = sh_arena_charge(pages);
    if (r < 0)
        return r;
    r = sh_arena_reserve(offset, pages);
    if (r < 0) {
        sh_arena_refund(pages);
        return r;
    }
    struct sh_slab *slab = sh_at(offset);
    memset(slab, 0, plan->first);
    memcpy(slab, plan, sizeof *plan);
    sh_store_relaxed(&slab->maybe_free, plan->blocks > 1);
    sh_store_relaxed(&slab->owners[0], sh_member_tag());
    SH_CRASH_POINT(slab_filled);
    sh_span_publish(head, length);
    *ret_slab = slab;
    return 0;
}

/* Give the pages of all free blocks back to the kernel, because somebody needs them more. */
static uint64_t release_warm(void);

int sh_slab_add(uint32_t class, struct sh_block *ret_block)
{
    struct sh_arena_shared *shared = sh_arena.shared;
    struct sh_slab *slab = NULL;
    int r;

    for (int attempt = 0;; attempt++) {
        sh_block_lock_arena();
        struct sh_slab *newest = sh_slab_at(sh_load_relaxed(&shared->slabs[class]), class);
        struct sh_slab plan = {
            .next = newest ? sh_offset(newest) : 0,
            .block_size = sh_block_class_size(class),
            .class = class,
            .ordinal = newest ? newest->ordinal + 1 : 0,
        };
        uint64_t length = lay_out(&plan);
        r = publish(&plan, length, &slab);
        if (r == 0) {
            SH_CRASH_POINT(slab_published);
            sh_store_release(&shared->slabs[class], sh_offset(slab)); /* pairs with the load in claim_of_class */
        }
        sh_word_unlock(&shared->word);
        if (r == 0 || attempt || release_warm() == 0)
            break;
    }
    if (r == 0)
        *ret_block = (struct sh_block){.slab = slab, .index = 0};
    return r;
}

/* The smallest free warm block with a slab of its own that holds size bytes without wasting half. */
static struct sh_slab *find_warm(uint64_t size)
{
    struct sh_slab *best = NULL;
    struct sh_span span;

    for (uint64_t head = 0; sh_span_at(head, &span); head += span.length) {
        struct sh_slab *slab = sh_slab_of(&span);
        if (!slab || slab->class != SH_CLASS_DIRECT || slab->block_size < size || slab->block_size / 2 > size ||
            sh_load_relaxed(&slab->owners[0]) != SH_OWNER_FREE)
            continue;
        if (!best || slab->block_size < best->block_size)
            best = slab;
    }
    return best;
}

static int take_direct(uint64_t size, struct sh_block *ret_block)
{
    struct sh_slab *slab = find_warm(size);
    uint32_t owner = SH_OWNER_FREE;

    if (slab && sh_cas_acquire(&slab->owners[0], &owner, sh_member_tag())) {
        *ret_block = (struct sh_block){.slab = slab};
        return 0;
    }
    struct sh_slab plan = {.class = SH_CLASS_DIRECT, .blocks = 1, .paged = 1};
    plan.first = first_block(1, size, 1);
    if (size > sh_arena.reserve)
        return -ENOMEM;
    uint64_t bytes = sh_round_up(plan.first + size, (uint64_t)SH_GRANULE);
    plan.block_size = bytes - plan.first;
    int r = publish(&plan, bytes / SH_GRANULE, &slab);
    if (r == 0)
        *ret_block = (struct sh_block){.slab = slab};
    return r;
}

int sh_slab_take_direct(uint64_t size, struct sh_block *ret_block)
{
    int r;

    for (int attempt = 0;; attempt++) {
        sh_block_lock_arena();
        r = take_direct(size, ret_block);
        sh_word_unlock(&sh_arena.shared->word);
        if (r == 0 || attempt || release_warm() == 0)
            return r;
    }
}

static uint64_t data_offset(const struct sh_block *block)
{
    return sh_offset(block->slab) + block->slab->first + block->index * block->slab->block_size;
}

/* The block's pages are charged, or no longer. The word is held. */
static void set_charged(const struct sh_block *block, uint8_t pages)
{
    sh_store_step(committed(block->slab, block->index), pages);
}

/* Give back the pages of a block that this process owns, or reclaims. */
static void cool(const struct sh_block *block)
{
    sh_store_step(committed(block->slab, block->index), CHANGING);
    SH_CRASH_POINT(block_cooling);
    sh_arena_release(data_offset(block), block->slab->block_size);
    sh_block_lock_arena();
    set_charged(block, NOT_RESERVED);
    sh_arena_refund(block->slab->block_size);
    sh_word_unlock(&sh_arena.shared->word);
}

/* Free a block whose slab is its own, slab and all. This process owns it. */
static void drop_direct(struct sh_slab *slab)
{
    struct sh_block block = {.slab = slab};

    if (sh_load_acquire(committed(slab, 0)) != NOT_RESERVED)
        cool(&block);
    uint64_t first = slab->first;
    sh_block_lock_arena();
    sh_span_release((sh_offset(slab) - sh_arena.heap_offset) / SH_GRANULE);
    SH_CRASH_POINT(direct_released);
    sh_arena_refund(first);
    sh_arena_release(sh_offset(slab), first);
    sh_word_unlock(&sh_arena.shared->word);
}

/* Charge and reserve the pages of a block that this process owns. */
static int heat(const struct sh_block *block)
{
    sh_block_lock_arena();
    int r = sh_arena_charge(block->slab->block_size);
    if (r == 0)
        set_charged(block, CHANGING);
    sh_word_unlock(&sh_arena.shared->word);
    if (r < 0)
        return r;
    r = sh_arena_reserve(data_offset(block), block->slab->block_size);
    if (r < 0)
        cool(block);
    else
        sh_store_step(committed(block->slab, block->index), RESERVED);
    SH_CRASH_POINT(block_warmed);
    if (r == 0)
        sh_memory_populate(sh_at(data_offset(block)), block->slab->block_size);
    return r;
}

int sh_slab_warm_up(const struct sh_block *block)
{
    struct sh_slab *slab = block->slab;

    if (!slab->paged)
        return 0;
    if (sh_slab_is_committed(slab, block->index)) {
        sh_sub_ordered(&sh_arena.shared->warm, (int64_t)slab->block_size);
        return 0;
    }
    int r = heat(block);
    if (r < 0 && release_warm() > 0)
        r = heat(block);
    if (r == 0)
        return 0;
    if (slab->class == SH_CLASS_DIRECT)
        drop_direct(slab);
    else
        sh_slab_share(block);
    return r;
}

/* Whether pages may be given back without touching a neighbour's. */
static int is_page_aligned(const struct sh_slab *slab)
{
    uint64_t page = sh_arena.shared->page_size;
    return (slab->first | slab->block_size) % page == 0;
}

/* How much may be kept warm: enough that large messages which follow each other find the pages of the ones before. */
static uint64_t most_warm(void)
{
    uint64_t share = sh_max(sh_arena.shared->limit / WARM_SHARE, sh_load_relaxed(&sh_arena.shared->committed) / 4);
    return sh_max(WARM_MINIMUM, share);
}

int sh_slab_cool_down(const struct sh_block *block)
{
    struct sh_arena_shared *shared = sh_arena.shared;
    struct sh_slab *slab = block->slab;
    int64_t size = (int64_t)slab->block_size;

    if (sh_add_ordered(&shared->warm, size) + size <= (int64_t)most_warm())
        return 0;
    sh_sub_ordered(&shared->warm, size);
    if (slab->class == SH_CLASS_DIRECT) {
        drop_direct(slab);
        return 1;
    }
    if (is_page_aligned(slab))
        cool(block);
    else
        sh_add_ordered(&shared->warm, size);
    return 0;
}

void sh_slab_reclaim(const struct sh_block *block)
{
    struct sh_slab *slab = block->slab;

    if (slab->class == SH_CLASS_DIRECT) {
        drop_direct(slab);
        return;
    }
    if (slab->paged) {
        uint8_t pages = sh_load_acquire(committed(slab, block->index));
        if (pages == RESERVED)
            sh_add_ordered(&sh_arena.shared->warm, (int64_t)slab->block_size);
        else if (pages == CHANGING)
            cool(block);
    }
    sh_slab_share(block);
}

void sh_slab_share(const struct sh_block *block)
{
    struct sh_slab *slab = block->slab;

    sh_store_release(&slab->owners[block->index], SH_OWNER_FREE); /* pairs with the swap in claim */
    if (!sh_load_relaxed(&slab->maybe_free))
        sh_store_relaxed(&slab->maybe_free, 1);
}

/* Take free warm blocks, give their pages back, free them again. Returns how many bytes that were. */
static uint64_t release_warm(void)
{
    struct sh_arena_shared *shared = sh_arena.shared;
    struct sh_span span;
    uint64_t bytes = 0;

    for (uint64_t head = 0; sh_span_at(head, &span); head += span.length) {
        struct sh_slab *slab = sh_slab_of(&span);
        if (!slab || !slab->paged || !is_page_aligned(slab))
            continue;
        for (uint32_t index = 0; index < slab->blocks; index++) {
            uint32_t owner = SH_OWNER_FREE;
            struct sh_block block = {slab, index};
            if (!sh_slab_is_committed(slab, index) || !sh_cas_acquire(&slab->owners[index], &owner, sh_member_tag()))
                continue;
            bytes += slab->block_size;
            sh_sub_ordered(&shared->warm, (int64_t)slab->block_size);
            if (slab->class == SH_CLASS_DIRECT) {
                drop_direct(slab);
                break;
            }
            cool(&block);
            sh_slab_share(&block);
        }
    }
    return bytes;
}

/* A slab can have been published and not yet be in its class's list: look for it there, else put it in front. */
static void relink(struct sh_slab *slab)
{
    _Atomic uint64_t *newest = &sh_arena.shared->slabs[slab->class];
    struct sh_slab *at = sh_slab_at(sh_load_relaxed(newest), slab->class);

    while (at && at != slab)
        at = sh_slab_older(at);
    if (!at)
        sh_store_release(newest, sh_offset(slab));
}

/* Bytes that a slab has charged: all of it, or its header and what committed[] says. */
static uint64_t charged(const struct sh_slab *slab, const struct sh_span *span)
{
    uint64_t bytes = slab->first;

    if (!slab->paged)
        return span->length * SH_GRANULE;
    for (uint32_t i = 0; i < slab->blocks; i++)
        if (sh_load_acquire(committed(slab, i)) != NOT_RESERVED)
            bytes += slab->block_size;
    return bytes;
}

uint64_t sh_slab_all_charged(void)
{
    uint64_t total = sh_arena.map_offset + sh_load_relaxed(&sh_arena.shared->map_committed);
    struct sh_span span;

    for (uint64_t head = 0; sh_span_at(head, &span); head += span.length) {
        const struct sh_slab *slab = sh_slab_of(&span);
        if (slab)
            total += charged(slab, &span);
    }
    return total;
}

void sh_block_recover(void)
{
    struct sh_span span;

    for (uint64_t head = 0; sh_span_at(head, &span); head += span.length) {
        struct sh_slab *slab = sh_slab_of(&span);
        if (slab && slab->class < SH_CLASS_COUNT)
            relink(slab);
    }
    sh_store_step(&sh_arena.shared->committed, sh_slab_all_charged());
}

void sh_slab_recount_warm(void)
{
    struct sh_span span;
    int64_t warm = 0;

    for (uint64_t head = 0; sh_span_at(head, &span); head += span.length) {
        struct sh_slab *slab = sh_slab_of(&span);
        if (!slab || !slab->paged)
            continue;
        for (uint32_t i = 0; i < slab->blocks; i++)
            if (sh_load_acquire(&slab->owners[i]) == SH_OWNER_FREE && sh_slab_is_committed(slab, i))
                warm += (int64_t)slab->block_size;
    }
    sh_store_ordered(&sh_arena.shared->warm, warm);
}
