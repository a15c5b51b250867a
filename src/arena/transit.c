/* transit.c - the table of objects that are under way. */
#include "arena/transit.h"

#define OFFSET_BITS 34
#define OFFSET_SHIFT 6 /* blocks begin at multiples of 64 */
#define OFFSET_MASK ((UINT64_C(1) << OFFSET_BITS) - 1)

static uint32_t place_of(uint64_t number)
{
    return (uint32_t)(number % SH_TRANSIT_MAX);
}

static uint64_t offset_in(uint64_t entry)
{
    return (entry & OFFSET_MASK) << OFFSET_SHIFT;
}

uint64_t sh_transit_oldest(const struct sh_transit *transit)
{
    uint32_t place = place_of(sh_load_relaxed(&transit->next));

    return offset_in(sh_load_relaxed(&transit->entries[place]));
}

uint64_t sh_transit_put(struct sh_transit *transit, uint64_t offset)
{
    uint64_t number = sh_load_relaxed(&transit->next);
    uint64_t ticket = (number + 1) << OFFSET_BITS | offset >> OFFSET_SHIFT;

    if (offset >> OFFSET_SHIFT > OFFSET_MASK)
        return 0;
    sh_store_relaxed(&transit->next, number + 1);
    sh_store_relaxed(&transit->entries[place_of(number)], ticket);
    return ticket;
}

void sh_transit_take(struct sh_transit *transit, uint64_t ticket)
{
    uint64_t expected = ticket;

    if (ticket)
        sh_cas_ordered(&transit->entries[place_of((ticket >> OFFSET_BITS) - 1)], &expected, 0);
}

int sh_transit_has(const struct sh_transit *transit, uint64_t offset, int but_oldest)
{
    uint32_t skipped = but_oldest ? place_of(sh_load_relaxed(&transit->next)) : SH_TRANSIT_MAX;

    for (uint32_t place = 0; place < SH_TRANSIT_MAX; place++) {
        uint64_t entry = sh_load_relaxed(&transit->entries[place]);
        if (place != skipped && entry && offset_in(entry) == offset)
            return 1;
    }
    return 0;
}
