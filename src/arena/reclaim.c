/* reclaim.c - burying the dead. */
#include "arena/reclaim.h"

#include "arena/arena.h"
#include "arena/block.h"
#include "arena/object.h"
#include "base/crash.h"

/* Whether the slot's process is dead and the slot not yet free. One load where it lives. */
static int needs_burial(struct sh_member *slot)
{
    uint32_t state = sh_load_acquire(&slot->state);

    uint32_t tag = sh_load_acquire(&slot->tag);
    if (state == SH_MEMBER_FREE || &sh_arena.shared->members[sh_member_slot(tag)] != slot) /* damaged: left alone */
        return 0;
    return state == SH_MEMBER_DEAD || sh_member_is_dead(tag);
}

/* Where the slot was still to be taken by a child of the dead, the child may have just begun to live: then it stays. */
static int is_condemned(struct sh_member *slot)
{
    uint32_t coming = SH_MEMBER_COMING;

    if (sh_cas_ordered(&slot->state, &coming, SH_MEMBER_DEAD) || coming == SH_MEMBER_DEAD)
        return 1;
    if (!needs_burial(slot))
        return 0;
    sh_store_release(&slot->state, SH_MEMBER_DEAD);
    return 1;
}

/* Every step may be repeated, so that another can go on where this process dies. */
static void bury(struct sh_member *slot)
{
    uint32_t tag = sh_load_acquire(&slot->tag);

    SH_CRASH_POINT(member_dead);
    sh_object_reclaim(tag);
    SH_CRASH_POINT(member_objects);
    sh_add_relaxed(&sh_arena.shared->reclaimed, sh_block_reclaim(tag));
    sh_add_relaxed(&sh_arena.shared->deaths, 1);
    SH_CRASH_POINT(member_blocks);
    sh_store_release(&slot->state, SH_MEMBER_FREE);
}

static int bury_all(void)
{
    uint32_t top = sh_member_top();
    int count = 0;

    for (uint32_t i = 0; i < top; i++) {
        struct sh_member *slot = &sh_arena.shared->members[i];
        if (needs_burial(slot) && is_condemned(slot)) {
            bury(slot);
            count++;
        }
    }
    return count;
}

static int is_anyone_dead(void)
{
    uint32_t top = sh_member_top();

    for (uint32_t i = 0; i < top; i++)
        if (needs_burial(&sh_arena.shared->members[i]))
            return 1;
    return 0;
}

int sh_reclaim_dead(void)
{
    if (!is_anyone_dead() || sh_mutex_trylock(&sh_arena.shared->reclaim) < 0)
        return 0;
    int count = bury_all();
    sh_mutex_unlock(&sh_arena.shared->reclaim);
    return count;
}

int sh_reclaim_wait(void)
{
    if (sh_mutex_lock(&sh_arena.shared->reclaim) < 0)
        return 0;
    int count = bury_all();
    sh_mutex_unlock(&sh_arena.shared->reclaim);
    return count;
}
