/* object.h - shared objects: queues, locks, pools and so on, as the arena sees them.
 *
 * An object's body is a block that begins with struct sh_object. It lives as long as a member is attached to it: each
 * member has a bit, set by its first handle and cleared by its last, or by whoever reclaims the member after its death.
 * Who clears the last bit destroys the object.
 *
 * Making one: the block is its maker's until sh_object_publish hands it over with one store; what belongs to it and
 * lies in blocks of its own must be handed over (SH_OWNER_PART) by a step that the object's own recovery can finish or
 * undo.
 * Destroying one: state goes from LIVE to DYING by compare-and-swap, then the kind's destroy frees the parts. Where the
 * destroyer dies, whoever reclaims it calls destroy again, so destroy must be able to go on from anywhere. */
#ifndef SH_ARENA_OBJECT_H
#define SH_ARENA_OBJECT_H

#include "arena/arena.h"

#include <shoal/ref.h>
#include <stdint.h>

enum sh_kind {
    SH_KIND_NONE,
    SH_KIND_LOCK,
    SH_KIND_SEMAPHORE,
    SH_KIND_CONDITION,
    SH_KIND_EVENT,
    SH_KIND_BARRIER,
    SH_KIND_QUEUE,
    SH_KIND_PIPE,
    SH_KIND_POOL,
    SH_KIND_FUTURE,
    SH_KIND_MEMORY,
    SH_KIND_COUNT,
};

enum sh_object_state {
    SH_OBJECT_NEW, /* its maker's still */
    SH_OBJECT_LIVE,
    SH_OBJECT_DYING,
};

/* kind and generation never change. attached: bit n stands for the member in slot n. Bits are set under the arena's
 * word, while state is LIVE; cleared by the member or whoever reclaims it; the one that then finds no bit left, nor the
 * object under way, under the arena's word, makes it DYING. state is the state below and, where DYING, the destroyer's
 * tag above it. was_sent: whether it may be under way (arena/transit.h); set under the arena's word, and never cleared.
 */
struct sh_object {
    uint32_t kind;
    uint32_t generation;
    _Atomic uint64_t state; /* tag << 8 | enum sh_object_state */
    _Atomic uint32_t was_sent;
    uint32_t reserved;
    _Atomic uint64_t attached[SH_MEMBERS_MAX / 64];
};

/* What the arena asks of a kind of object. Any may be NULL. */
struct sh_object_kind {
    const char *name;
    uint64_t size; /* bytes of the smallest body */
    /* Its body names other objects by refs, which live as long as it is used: never in a circle. */
    int names_others;
    /* Free all parts (not the body). May be called again where an earlier caller died in it. */
    void (*destroy)(struct sh_object *object);
    /* A member has died: mend and give back what it held of this object. May be called more than once. */
    void (*bury)(struct sh_object *object, uint32_t tag);
    /* The invariants of the shared body (base/check.h), when nobody is in the middle of something. */
    int (*check)(struct sh_object *object);
};

/* One entry for each kind, defined by the uppermost layer (src/kinds.c). */
extern const struct sh_object_kind *const sh_object_kinds[SH_KIND_COUNT];

/* Make a body of size bytes, zeroed behind its head, attached to by this process. Then publish or discard it. */
int sh_object_create(enum sh_kind kind, uint64_t size, void **ret_body);
void sh_object_publish(struct sh_object *object);
void sh_object_discard(struct sh_object *object);

/* Name an object; find and attach to the object of a name: -EXDEV, -EINVAL, -ESTALE. */
void sh_object_ref(const struct sh_object *object, shoal_ref *ret_ref);
int sh_object_attach(const shoal_ref *ref, enum sh_kind kind, void **ret_body);

/* Before a name is sent: keep the object, to which this process is attached, alive until the receiver has it. Returns a
 * ticket, which travels with the name; who has attached hands it in. See arena/transit.h for what this does not hold.
 */
uint64_t sh_object_send(struct sh_object *object);
void sh_object_receive(uint64_t ticket);

/* Whether this is a living object of the kind and generation. The answer lasts while this process is attached to it. */
int sh_object_is(struct sh_object *object, uint32_t kind, uint32_t generation);

/* One handle less of this process for an object that it is attached to. */
void sh_object_drop(struct sh_object *object);

/* Attach a member to all that this process has handles of: itself after a fork, or a child that is to come. After a
 * fork an object may be gone: its handles are forgotten. */
void sh_object_inherit(uint32_t tag);

/* Attach a member that is to come to the objects whose refs stand in these bytes, at whatever place. */
void sh_object_inherit_named(uint32_t tag, const void *bytes, size_t size);

/* A member died: clear its bits, let every object mend itself, destroy what nobody is attached to. */
void sh_object_reclaim(uint32_t tag);

/* Call visit for every live object until it returns other than 0, and return that. */
typedef int sh_object_visitor(struct sh_object *object, void *context);
int sh_object_walk(sh_object_visitor *visit, void *context);

int sh_object_check(void);

#endif
