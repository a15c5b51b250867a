/* member.h - the processes of the family: a table with a slot for each that is attached.
 *
 * A member is named by its tag: slot and generation in 30 bits, never 0, never used again until the slot has been taken
 * half a million times. Blocks, locks and tasks carry their owner's tag.
 *
 * Life. Each member's thread that attached holds the slot's life mutex until the process ends; when it dies the kernel
 * marks the mutex's word, and that mark is seen by one load. A thread's end looks the same, so the mark is only a
 * reason to look closer (by pid and start time), and a member whose attaching thread has ended is adopted by the next
 * of its threads that comes along. So does an exec, after which the process is there, but maps the arena no longer: it
 * counts as dead. */
#ifndef SH_ARENA_MEMBER_H
#define SH_ARENA_MEMBER_H

#include "base/atomic.h"
#include "base/bits.h"
#include "os/mutex.h"
#include "os/thread.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SH_MEMBERS_MAX 1024
#define SH_SLOT_BITS 11
#define SH_SLOT_MASK ((1u << SH_SLOT_BITS) - 1)
#define SH_TAG_BITS 30

_Static_assert(SH_MEMBERS_MAX < SH_SLOT_MASK, "slot numbers plus one fit into a tag");

enum sh_member_state {
    SH_MEMBER_FREE,
    SH_MEMBER_COMING, /* being taken by pid: has no life yet */
    SH_MEMBER_LIVE,
    SH_MEMBER_DEAD, /* being reclaimed */
};

/* One slot. state goes FREE -> COMING -> LIVE -> DEAD -> FREE (or COMING -> DEAD where the process died coming): the
 * first step is taken under the arena's word, LIVE by the member itself, DEAD and FREE under the reclaim mutex. tag is
 * written before COMING and stays; pid and start name whoever the slot depends on: while COMING that may be the
 * parent. */
struct sh_member {
    struct sh_mutex life;
    _Atomic uint32_t state;
    _Atomic uint32_t tag;
    _Atomic int32_t pid;
    _Atomic uint32_t lives; /* counts adoptions: goes up whenever another thread has taken the life mutex */
    _Atomic uint64_t start; /* of the process, in clock ticks since boot; 0: not known */
    _Alignas(SH_CACHE_LINE) char end[0];
};

/* This process as a member. epoch is the process's when it attached: another value means that this is a forked child
 * which has not. */
struct sh_member_self {
    _Atomic uint32_t epoch;
    uint32_t tag;
    struct sh_member *slot;
};

extern struct sh_member_self sh_member_self;

static inline uint32_t sh_member_slot(uint32_t tag)
{
    return (tag & SH_SLOT_MASK) - 1;
}

/* Attach this process: find a slot, take its life. -ENOSPC where all slots are taken: by the living, or also by the
 * dead where nobody that could bury them came along. */
int sh_member_attach(void);

/* Whether this process's slot is one of the last, so that it is time to bury the dead, now that it can. */
int sh_member_is_crowded(void);

/* A child that is to be a member from its first instant: its parent takes a slot for it before it forks, attached to
 * all that the parent has handles of, and the child takes the slot over. Until then the slot is the parent's: it goes
 * when the parent dies, or says sh_member_cancel, which it does too when it learns of the child's end. */
int sh_member_expect(uint32_t *ret_tag);

/* The same for a child that is started afresh, and has no handles but those it makes from refs in its argument: it is
 * attached to the objects that these bytes name, and to no others. */
int sh_member_expect_afresh(const void *argument, size_t size, uint32_t *ret_tag);
int sh_member_take_over(uint32_t tag);
void sh_member_cancel(uint32_t tag);

/* Hold this process's life by this thread, where the thread that held it has ended. */
void sh_member_adopt(void);

/* Whether this process is attached, or an ancestor that it was forked from only. */
static inline int sh_member_is_attached(void)
{
    return sh_load_acquire(&sh_member_self.epoch) == sh_thread_process_epoch();
}

/* This process's tag. It is attached (sh_arena_enter). */
static inline uint32_t sh_member_tag(void)
{
    return sh_member_self.tag;
}

/* Whether the member is dead, or gone. One load where it lives; a close look, with system calls, where its life word
 * leaves doubt. */
int sh_member_is_dead(uint32_t tag);

/* The pid of a member; 0 where the tag is nobody's any more. */
pid_t sh_member_pid(uint32_t tag);

/* The word that the kernel marks when the member dies, and its value to sleep on (with the mark of a sleeper set);
 * -ESRCH where it is dead already, -EAGAIN where its life is nobody's for the moment: look again soon. */
int sh_member_watch(uint32_t tag, _Atomic uint32_t **ret_word, uint32_t *ret_value);

/* That word alone; NULL for what is no tag. */
_Atomic uint32_t *sh_member_life(uint32_t tag);

/* Slots at and above this were never used. */
uint32_t sh_member_top(void);

/* How many are attached. */
uint32_t sh_member_count(void);

#endif
