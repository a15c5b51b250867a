/* handles.c - a hash table from offsets to counts, with linear probing. */
#include "arena/handles.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct entry {
    uint64_t offset; /* 0: empty */
    uint32_t generation;
    uint32_t count;
};

static struct entry *entries;
static uint64_t capacity; /* a power of two, or 0 */
static uint64_t used;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void sh_handles_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void sh_handles_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

static uint64_t home(uint64_t offset)
{
    return (offset >> 6) * UINT64_C(0x9e3779b97f4a7c15) >> 20 & (capacity - 1);
}

/* The offset's entry, or the empty one where it would be. */
static struct entry *find(uint64_t offset)
{
    uint64_t at = home(offset);

    while (entries[at].offset && entries[at].offset != offset)
        at = (at + 1) & (capacity - 1);
    return &entries[at];
}

static int grow(void)
{
    struct entry *old = entries;
    uint64_t old_capacity = capacity;
    uint64_t wanted = capacity ? capacity * 2 : 64;
    struct entry *larger = calloc(wanted, sizeof *larger);

    if (!larger)
        return -ENOMEM;
    entries = larger;
    capacity = wanted;
    for (uint64_t i = 0; i < old_capacity; i++)
        if (old[i].offset)
            *find(old[i].offset) = old[i];
    free(old);
    return 0;
}

int sh_handles_add(uint64_t offset, uint32_t generation)
{
    if (used * 2 >= capacity) {
        int r = grow();
        if (r < 0)
            return r;
    }
    struct entry *entry = find(offset);
    if (!entry->offset) {
        *entry = (struct entry){.offset = offset, .generation = generation};
        used++;
    }
    return (int)++entry->count;
}

/* Close the gap that an entry leaves, so that those behind it are still found. */
static void erase(uint64_t gap)
{
    for (uint64_t at = (gap + 1) & (capacity - 1); entries[at].offset; at = (at + 1) & (capacity - 1)) {
        uint64_t from_home = (at - home(entries[at].offset)) & (capacity - 1);
        uint64_t from_gap = (at - gap) & (capacity - 1);
        if (from_home >= from_gap) {
            entries[gap] = entries[at];
            gap = at;
        }
    }
    entries[gap].offset = 0;
    used--;
}

int sh_handles_remove(uint64_t offset)
{
    struct entry *entry = capacity ? find(offset) : NULL;

    if (!entry || !entry->offset)
        return -ENOENT;
    int left = (int)--entry->count;
    if (left == 0)
        erase((uint64_t)(entry - entries));
    return left;
}

void sh_handles_filter(int (*keep)(uint64_t offset, uint32_t generation, void *context), void *context)
{
    uint64_t at = 0;

    while (at < capacity) {
        if (entries[at].offset && !keep(entries[at].offset, entries[at].generation, context))
            erase(at); /* and look at what came in its place */
        else
            at++;
    }
}
