/* block.h - blocks: what the arena hands out, by size, each with its owner written beside it.
 *
 * A slab is a span cut into blocks of one size. Its header holds a word for each block: whose it is. Taking a block is
 * one compare-and-swap of that word from SH_OWNER_FREE to the taker's tag, and that alone, so at every instant every
 * block is free, or some process's (and reclaimed when that dies), or a shared object's. Blocks up to `direct_minimum`
 * bytes come from slabs of their size class, larger ones have a slab of their own.
 *
 * Each thread keeps a few small blocks that it freed: they stay its process's, and cost no atomic operation.
 *
 * A block's pages are reserved when it is first handed out; large blocks that are free keep theirs up to a bound (a
 * thirty-second of the memory limit, or 64 MiB), so that they need not be had from the kernel again, and give them back
 * beyond it. */
#ifndef SH_ARENA_BLOCK_H
#define SH_ARENA_BLOCK_H

#include "arena/arena.h"

#include <stdint.h>

#define SH_OWNER_FREE 0u
#define SH_OWNER_OBJECT 0x80000001u /* the body of a shared object: begins with struct sh_object */
#define SH_OWNER_PART 0x80000002u   /* belongs to an object: a message in a queue, a ring, a task */

#define SH_CLASS_DIRECT SH_CLASS_COUNT /* the class of a slab that is one block */

/* Header of a slab, at its span's begin. Everything but owners, committed and maybe_free is written before the span is
 * published and never changes. owners[i] is as told above; committed[i] (only where `paged`) is written by the block's
 * owner: 1 where the block's pages are reserved. maybe_free is a hint: 0 where a whole scan found nothing. owners begin
 * a cache line: what is before them is read for each block by everybody, and hardly ever written. */
struct sh_slab {
    uint64_t next; /* offset of the next older slab of its class; 0: none */
    uint64_t block_size;
    uint64_t first; /* bytes from the slab to its first block */
    uint32_t blocks;
    uint32_t class;
    uint32_t ordinal; /* how many slabs its class had before it */
    uint32_t paged;   /* blocks are reserved one by one, else all with the slab */
    _Atomic uint32_t maybe_free;
    _Alignas(SH_CACHE_LINE) _Atomic uint32_t owners[]; /* then: _Atomic uint8_t committed[blocks], where paged */
};

struct sh_block {
    struct sh_slab *slab;
    uint32_t index;
};

/* Take a block of at least size bytes for this process; its contents are what they were. -ENOMEM, -ENOSPC. */
int sh_block_alloc(uint64_t size, uint64_t *ret_offset);

/* Have a block's pages mapped in this process before it is filled: the kernel maps a page that is read together with
 * its neighbours, but one that is written alone. Pages that other processes touched first cost a third so. */
void sh_block_touch(uint64_t offset, uint64_t size);

/* Give back a block that this process, or an object that it is taking apart, owns. */
void sh_block_free(uint64_t offset);

/* The same without any lock, and without giving pages back: for use while a word is held. */
void sh_block_share(uint64_t offset);

/* Hand a block over: to SH_OWNER_OBJECT, SH_OWNER_PART, or a member. The caller owns it, or holds the lock of the
 * object that does. */
void sh_block_give(uint64_t offset, uint32_t owner);

/* The same where two might do it: 1 where the block was `from`'s, and is `to`'s now. */
int sh_block_move(uint64_t offset, uint32_t from, uint32_t to);

/* Give back what this thread keeps. */
void sh_block_flush(void);

/* The block that begins at this offset, wherever the offset comes from: -EINVAL where none does. */
int sh_block_find(uint64_t offset, struct sh_block *ret_block);

/* The word of a block that was found, with its owner. */
static inline _Atomic uint32_t *sh_block_owner_word(const struct sh_block *block)
{
    return &block->slab->owners[block->index];
}

/* Whose the block is that begins here; SH_OWNER_FREE where none does. */
uint32_t sh_block_owner(uint64_t offset);

/* How many bytes fit into the block that begins here. */
uint64_t sh_block_capacity(uint64_t offset);

/* Call visit for every block that has an owner, until it returns other than 0, and return that. */
typedef int sh_block_visitor(uint64_t offset, uint32_t owner, uint64_t size, void *context);
int sh_block_walk(sh_block_visitor *visit, void *context);

/* Give back all blocks of a dead member; returns how many. The reclaim mutex is held. */
uint64_t sh_block_reclaim(uint32_t tag);

/* Finish what a dead holder of the arena's word left: called by whoever got SHOAL_OWNER_DIED for it. */
void sh_block_recover(void);

/* Take the arena's word, recovering where need be. */
void sh_block_lock_arena(void);

/* Size of a class's blocks, and the class for a size (SH_CLASS_DIRECT where it is too large). */
uint64_t sh_block_class_size(uint32_t class);
uint32_t sh_block_class_of(uint64_t size);

int sh_block_check(void);

#endif
