/* span.h - the heap's granules, in spans: each is free, or one slab of blocks.
 *
 * The span map has an entry for each granule: kind in the top byte, a number below. The head granule of a span holds
 * its kind and its length in granules; granules inside a slab hold the head's index. A walk from granule 0 to `top`,
 * from head to head, meets every span.
 *
 * All changes are made under the arena's word, and each is committed by one store, so whoever dies in between leaves a
 * heap that can be walked:
 *   split   the rest gets its head first (nobody looks there), then the span its shorter length
 *   merge   the first of two neighbours gets the length of both
 *   grow    the new span gets its head, then `top` moves over it
 *   slab    the slab's header is filled first, then the head's kind changes from FREE to SLAB */
#ifndef SH_ARENA_SPAN_H
#define SH_ARENA_SPAN_H

#include "arena/arena.h"

#include <stdint.h>

enum sh_span_kind {
    SH_SPAN_NONE,   /* never used */
    SH_SPAN_FREE,   /* head: number is the length */
    SH_SPAN_SLAB,   /* head: number is the length */
    SH_SPAN_INSIDE, /* number is the head's index */
};

struct sh_span {
    enum sh_span_kind kind;
    uint64_t head;   /* granule index */
    uint64_t length; /* granules */
};

/* Find length granules: they are FREE still, and nobody else's as long as the word is held. -ENOMEM. */
int sh_span_find(uint64_t length, uint64_t *ret_head);

/* Turn the FREE span that find returned into a slab: its header is filled. */
void sh_span_publish(uint64_t head, uint64_t length);

/* Turn a slab into a free span. */
void sh_span_release(uint64_t head);

/* The span that covers an offset, whatever the offset; -EINVAL where there is none. */
int sh_span_lookup(uint64_t offset, struct sh_span *ret_span);

/* Walk: the span at head, and the next head with head + length; 0 when head is the top. Needs no lock for reading: a
 * walk beside changes may meet a span twice or miss a new one. */
int sh_span_at(uint64_t head, struct sh_span *ret_span);

static inline uint64_t sh_span_offset(uint64_t head)
{
    return sh_arena.heap_offset + head * SH_GRANULE;
}

#endif
