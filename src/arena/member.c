/* member.c - attaching to the family, and finding out who is dead. */
#include "arena/member.h"

#include "arena/arena.h"
#include "arena/block.h"
#include "arena/object.h"
#include "arena/reclaim.h"
#include "os/identity.h"
#include "os/word.h"

#include <errno.h>
#include <shoal/base.h>

#define MARK_DIED 0x40000000u
#define MARK_WAITERS 0x80000000u
#define LIFE_ID 0x3fffffffu
#define SPARE_SLOTS 32

struct sh_member_self sh_member_self;

static struct sh_member *slot_of(uint32_t tag)
{
    uint32_t slot = sh_member_slot(tag);
    return slot < SH_MEMBERS_MAX ? &sh_arena.shared->members[slot] : NULL;
}

/* The tag of a slot's next member. */
static uint32_t next_tag(uint32_t slot, uint32_t last)
{
    uint32_t generation = (last >> SH_SLOT_BITS) + 1;
    return ((generation << SH_SLOT_BITS) & ((1u << SH_TAG_BITS) - 1)) | (slot + 1);
}

/* Find the lowest free slot, and make its life where it has none. The arena's word is held. */
static int find_free(struct sh_member **ret_slot)
{
    struct sh_arena_shared *shared = sh_arena.shared;
    uint32_t top = sh_load_relaxed(&shared->member_top), i = 0;

    while (i < SH_MEMBERS_MAX && sh_load_relaxed(&shared->members[i].state) != SH_MEMBER_FREE)
        i++;
    if (i == SH_MEMBERS_MAX)
        return -ENOSPC;
    if (i >= top) {
        int r = sh_mutex_init(&shared->members[i].life);
        if (r < 0)
            return r;
        sh_store_relaxed(&shared->member_top, i + 1);
    }
    *ret_slot = &shared->members[i];
    return 0;
}

/* Take a free slot, COMING, that depends on this process for the time being. */
static int reserve_slot(uint32_t *ret_tag)
{
    uint64_t start = sh_identity_start(sh_identity_pid());
    struct sh_member *slot;

    sh_block_lock_arena();
    int r = find_free(&slot);
    if (r == 0) {
        *ret_tag = next_tag((uint32_t)(slot - sh_arena.shared->members), sh_load_relaxed(&slot->tag));
        sh_store_relaxed(&slot->pid, sh_identity_pid());
        sh_store_relaxed(&slot->start, start);
        sh_store_relaxed(&slot->tag, *ret_tag);
        sh_store_release(&slot->state, SH_MEMBER_COMING);
    }
    sh_word_unlock(&sh_arena.shared->word);
    return r;
}

/* Live in a slot that is COMING. */
static int begin_life(uint32_t tag)
{
    struct sh_member *slot = slot_of(tag);
    int r = sh_mutex_trylock(&slot->life);

    if (r < 0)
        return r;
    uint32_t coming = SH_MEMBER_COMING;
    if (!sh_cas_ordered(&slot->state, &coming, SH_MEMBER_LIVE)) { /* buried with the parent that it depended on */
        sh_mutex_unlock(&slot->life);
        return -ESRCH;
    }
    sh_member_self.tag = tag;
    sh_member_self.slot = slot;
    return 0;
}

int sh_member_attach(void)
{
    uint32_t tag;
    int r = reserve_slot(&tag); /* without burying the dead for it: who buries is a member itself */

    return r < 0 ? r : begin_life(tag);
}

int sh_member_is_crowded(void)
{
    return sh_member_slot(sh_member_tag()) >= SH_MEMBERS_MAX - SPARE_SLOTS;
}

/* A slot for a child, if need be that of one who is dead. */
static int find_slot(uint32_t *ret_tag)
{
    int r = reserve_slot(ret_tag);

    if (r == -ENOSPC && sh_reclaim_wait() > 0)
        r = reserve_slot(ret_tag);
    return r;
}

int sh_member_expect(uint32_t *ret_tag)
{
    uint32_t tag;
    int r = find_slot(&tag);

    if (r < 0)
        return r;
    sh_object_inherit(tag);
    *ret_tag = tag;
    return 0;
}

int sh_member_expect_afresh(const void *argument, size_t size, uint32_t *ret_tag)
{
    uint32_t tag;
    int r = find_slot(&tag);

    if (r < 0)
        return r;
    sh_object_inherit_named(tag, argument, size);
    *ret_tag = tag;
    return 0;
}

int sh_member_take_over(uint32_t tag)
{
    struct sh_member *slot = slot_of(tag);

    if (!slot || sh_load_acquire(&slot->tag) != tag || sh_load_acquire(&slot->state) != SH_MEMBER_COMING)
        return -ESRCH;
    sh_store_release(&slot->start, 0); /* so that at no time a pid stands with another's start */
    sh_store_release(&slot->pid, sh_identity_pid());
    sh_store_release(&slot->start, sh_identity_start(sh_identity_pid()));
    return begin_life(tag);
}

void sh_member_cancel(uint32_t tag)
{
    struct sh_member *slot = slot_of(tag);
    uint32_t coming = SH_MEMBER_COMING;

    if (!slot || sh_load_acquire(&slot->tag) != tag)
        return;
    if (sh_cas_ordered(&slot->state, &coming, SH_MEMBER_DEAD) || sh_member_is_dead(tag)) /* or it had just come */
        sh_reclaim_wait();
}

/* The thread that held this process's life has ended: hold it by this one. */
void sh_member_adopt(void)
{
    struct sh_member *slot = sh_member_self.slot;

    if (!sh_member_is_attached() || !(sh_load_relaxed(sh_mutex_word(&slot->life)) & MARK_DIED))
        return;
    if (sh_mutex_trylock(&slot->life) >= 0)
        sh_add_relaxed(&slot->lives, 1);
}

/* A slot in doubt: ask the system. A process that has become another program by exec is alive, but no member. */
static int is_process_gone(struct sh_member *slot, uint32_t tag)
{
    pid_t pid = sh_load_relaxed(&slot->pid);
    uint64_t start = sh_load_relaxed(&slot->start);

    if (sh_load_acquire(&slot->tag) != tag)
        return 1;
    return !sh_identity_is_alive(pid, start) || !sh_identity_maps(pid, sh_arena.fd);
}

int sh_member_is_dead(uint32_t tag)
{
    struct sh_member *slot = slot_of(tag);

    if (!slot || sh_load_acquire(&slot->tag) != tag)
        return 1;
    uint32_t state = sh_load_acquire(&slot->state);
    if (state == SH_MEMBER_FREE || state == SH_MEMBER_DEAD)
        return 1;
    if (tag == sh_member_self.tag && sh_member_is_attached())
        return 0;
    uint32_t life = sh_load_acquire(sh_mutex_word(&slot->life));
    if (state == SH_MEMBER_LIVE && (life & LIFE_ID) && !(life & MARK_DIED))
        return 0;
    return is_process_gone(slot, tag);
}

pid_t sh_member_pid(uint32_t tag)
{
    struct sh_member *slot = slot_of(tag);

    if (!slot)
        return 0;
    pid_t pid = sh_load_relaxed(&slot->pid);
    return sh_load_acquire(&slot->tag) == tag && sh_load_relaxed(&slot->state) != SH_MEMBER_FREE ? pid : 0;
}

int sh_member_watch(uint32_t tag, _Atomic uint32_t **ret_word, uint32_t *ret_value)
{
    struct sh_member *slot = slot_of(tag);

    if (!slot || sh_member_is_dead(tag))
        return -ESRCH;
    _Atomic uint32_t *word = sh_mutex_word(&slot->life);
    uint32_t value = sh_load_acquire(word);
    for (;;) {
        if (!(value & LIFE_ID) || (value & MARK_DIED))
            return -EAGAIN;
        if (value & MARK_WAITERS)
            break;
        if (sh_cas_ordered(word, &value, value | MARK_WAITERS)) /* so that the kernel wakes us when it marks it */
            value |= MARK_WAITERS;
    }
    if (sh_load_acquire(&slot->tag) != tag)
        return -ESRCH;
    *ret_word = word;
    *ret_value = value;
    return 0;
}

_Atomic uint32_t *sh_member_life(uint32_t tag)
{
    struct sh_member *slot = slot_of(tag);
    return slot ? sh_mutex_word(&slot->life) : NULL;
}

uint32_t sh_member_top(void)
{
    uint32_t top = sh_load_acquire(&sh_arena.shared->member_top);
    return sh_min(top, (uint32_t)SH_MEMBERS_MAX);
}

uint32_t sh_member_count(void)
{
    uint32_t top = sh_member_top();
    uint32_t count = 0;

    for (uint32_t i = 0; i < top; i++)
        count += sh_load_relaxed(&sh_arena.shared->members[i].state) == SH_MEMBER_LIVE;
    return count;
}
