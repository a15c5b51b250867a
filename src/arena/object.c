/* object.c - making, naming, attaching to and destroying shared objects. */
#include "arena/object.h"

#include "arena/block.h"
#include "arena/handles.h"
#include "base/check.h"
#include "base/crash.h"

#include <errno.h>
#include <string.h>

#define STATE_BITS 8
#define STATE_MASK ((1u << STATE_BITS) - 1)

static enum sh_object_state state_of(struct sh_object *object)
{
    return (enum sh_object_state)(sh_load_acquire(&object->state) & STATE_MASK);
}

static void set_attached(struct sh_object *object, uint32_t slot)
{
    sh_or_ordered(&object->attached[slot / 64], UINT64_C(1) << slot % 64);
}

static void clear_attached(struct sh_object *object, uint32_t slot)
{
    sh_and_ordered(&object->attached[slot / 64], ~(UINT64_C(1) << slot % 64));
}

static int is_attached_to_by_any(const struct sh_object *object)
{
    for (unsigned i = 0; i < SH_MEMBERS_MAX / 64; i++)
        if (sh_load_ordered(&object->attached[i]))
            return 1;
    return 0;
}

static uint32_t own_slot(void)
{
    return sh_member_slot(sh_member_tag());
}

int sh_object_create(enum sh_kind kind, uint64_t size, void **ret_body)
{
    uint64_t offset;
    int r = sh_arena_enter();

    if (r >= 0)
        r = sh_block_alloc(size, &offset);
    if (r < 0)
        return r;
    struct sh_object *object = sh_at(offset);
    memset(object, 0, size);
    object->kind = kind;
    object->generation = sh_add_relaxed(&sh_arena.shared->next_generation, 1) + 1;
    sh_handles_lock();
    r = sh_handles_add(offset, object->generation);
    sh_handles_unlock();
    if (r < 0) {
        sh_block_free(offset);
        return r;
    }
    set_attached(object, own_slot());
    *ret_body = object;
    return 0;
}

void sh_object_publish(struct sh_object *object)
{
    sh_store_release(&object->state, SH_OBJECT_LIVE);
    SH_CRASH_POINT(object_filled);
    sh_block_give(sh_offset(object), SH_OWNER_OBJECT);
}

void sh_object_discard(struct sh_object *object)
{
    sh_handles_lock();
    sh_handles_remove(sh_offset(object));
    sh_handles_unlock();
    sh_block_free(sh_offset(object));
}

void sh_object_ref(const struct sh_object *object, shoal_ref *ret_ref)
{
    *ret_ref = (shoal_ref){
        .family = sh_arena.shared->family,
        .offset = sh_offset(object),
        .kind = object->kind,
        .generation = object->generation,
    };
}

/* The kind of an object; NULL where it is none, or its block too small for one. */
static const struct sh_object_kind *kind_of(const struct sh_object *object)
{
    const struct sh_object_kind *kind = object->kind < SH_KIND_COUNT ? sh_object_kinds[object->kind] : NULL;

    return kind && sh_block_capacity(sh_offset(object)) >= kind->size ? kind : NULL;
}

/* Whether a living object begins at the offset. It stays one while the arena's word is held, or this process is
 * attached to it. */
static int is_live(uint64_t offset)
{
    return sh_block_owner(offset) == SH_OWNER_OBJECT && sh_block_capacity(offset) >= sizeof(struct sh_object) &&
           state_of(sh_at(offset)) == SH_OBJECT_LIVE;
}

int sh_object_is(struct sh_object *object, uint32_t kind, uint32_t generation)
{
    return is_live(sh_offset(object)) && object->kind == kind && object->generation == generation;
}

int sh_object_attach(const shoal_ref *ref, enum sh_kind kind, void **ret_body)
{
    if (ref->kind != (uint32_t)kind)
        return -EINVAL;
    int r = sh_arena_enter();
    if (r < 0)
        return r;
    if (ref->family != sh_arena.shared->family)
        return -EXDEV;
    if (!sh_arena_contains(ref->offset, sizeof(struct sh_object)))
        return -ESTALE;

    sh_handles_lock();
    sh_block_lock_arena();
    int alive = sh_object_is(sh_at(ref->offset), kind, ref->generation) && kind_of(sh_at(ref->offset));
    if (alive)
        set_attached(sh_at(ref->offset), own_slot());
    sh_word_unlock(&sh_arena.shared->word);
    r = alive ? sh_handles_add(ref->offset, ref->generation) : -ESTALE;
    sh_handles_unlock();
    if (r < 0) /* without memory for the handle a bit may be left over: this process's end clears it */
        return r;
    *ret_body = sh_at(ref->offset);
    return 0;
}

static void destroy(struct sh_object *object)
{
    const struct sh_object_kind *kind = kind_of(object);

    if (kind && kind->destroy)
        kind->destroy(object);
    SH_CRASH_POINT(object_destroyed);
    sh_block_free(sh_offset(object));
}

/* With the arena's word held: where a living object begins at the offset that nobody is attached to, that is not under
 * way and that nobody mends, it is dying from here on: by the caller, who destroys it. pushes_out: the oldest of what
 * is under way no longer counts. */
static int begin_dying(uint64_t offset, int pushes_out)
{
    struct sh_object *object = sh_at(offset);

    if (!is_live(offset) || is_attached_to_by_any(object) || sh_load_relaxed(&sh_arena.shared->burying) == offset)
        return 0;
    if (sh_load_relaxed(&object->was_sent) && sh_transit_has(&sh_arena.shared->transit, offset, pushes_out))
        return 0;
    sh_store_release(&object->state, (uint64_t)sh_member_tag() << STATE_BITS | SH_OBJECT_DYING);
    return 1;
}

/* Destroy the object where nobody is attached to it any more, and nobody but the caller mends it. */
static void destroy_if_left(struct sh_object *object, int is_burial)
{
    if (!is_burial && is_attached_to_by_any(object))
        return;
    sh_block_lock_arena();
    if (is_burial)
        sh_store_relaxed(&sh_arena.shared->burying, 0);
    int mine = begin_dying(sh_offset(object), 0);
    sh_word_unlock(&sh_arena.shared->word);
    if (mine)
        destroy(object);
}

uint64_t sh_object_send(struct sh_object *object)
{
    struct sh_transit *transit = &sh_arena.shared->transit;

    sh_block_lock_arena();
    uint64_t oldest = sh_transit_oldest(transit);
    int is_left = oldest && begin_dying(oldest, 1);
    if (is_left)
        SH_CRASH_POINT(object_pushed_out);
    sh_store_relaxed(&object->was_sent, 1);
    uint64_t ticket = sh_transit_put(transit, sh_offset(object));
    sh_word_unlock(&sh_arena.shared->word);
    if (is_left)
        destroy(sh_at(oldest));
    return ticket;
}

void sh_object_receive(uint64_t ticket)
{
    sh_transit_take(&sh_arena.shared->transit, ticket);
}

void sh_object_drop(struct sh_object *object)
{
    if (sh_arena_enter() < 0) /* a forked child that never used what it inherited */
        return;
    sh_handles_lock();
    int left = sh_handles_remove(sh_offset(object));
    if (left == 0)
        clear_attached(object, own_slot());
    sh_handles_unlock();
    if (left == 0)
        destroy_if_left(object, 0);
}

/* Where the object is gone, which it can be before a forked child attaches, its handles are forgotten. */
static int attach_slot(uint64_t offset, uint32_t generation, void *context)
{
    struct sh_object *object = sh_at(offset);

    if (!is_live(offset) || object->generation != generation)
        return 0;
    set_attached(object, *(uint32_t *)context);
    return 1;
}

void sh_object_inherit(uint32_t tag)
{
    uint32_t slot = sh_member_slot(tag);

    sh_handles_lock();
    sh_block_lock_arena();
    sh_handles_filter(attach_slot, &slot);
    sh_word_unlock(&sh_arena.shared->word);
    sh_handles_unlock();
}

/* Objects whose bodies name others: what a body names in its turn is no such object. */
#define MOST_DEPTH 2

static void attach_all_named(const void *bytes, size_t size, uint32_t slot, int depth);

/* Attach a slot to the object that a ref names, and to those that the object's own body names. */
static void attach_named(const shoal_ref *ref, uint32_t slot, int depth)
{
    if (!sh_arena_contains(ref->offset, 1) || !sh_object_is(sh_at(ref->offset), ref->kind, ref->generation))
        return;
    struct sh_object *object = sh_at(ref->offset);
    const struct sh_object_kind *kind = kind_of(object);
    set_attached(object, slot);
    if (kind && kind->names_others && depth < MOST_DEPTH)
        attach_all_named(object + 1, kind->size - sizeof *object, slot, depth + 1);
}

static void attach_all_named(const void *bytes, size_t size, uint32_t slot, int depth)
{
    const char *at = bytes, *end = at + size;
    uint64_t family = sh_arena.shared->family;

    while ((size_t)(end - at) >= sizeof(shoal_ref)) {
        at = memmem(at, (size_t)(end - at), &family, sizeof family); /* the first thing in a ref */
        if (!at || (size_t)(end - at) < sizeof(shoal_ref))
            return;
        shoal_ref ref;
        memcpy(&ref, at, sizeof ref);
        attach_named(&ref, slot, depth);
        at++;
    }
}

void sh_object_inherit_named(uint32_t tag, const void *bytes, size_t size)
{
    sh_block_lock_arena();
    attach_all_named(bytes, size, sh_member_slot(tag), 1);
    sh_word_unlock(&sh_arena.shared->word);
}

struct walk {
    sh_object_visitor *visit;
    void *context;
};

static int visit_block(uint64_t offset, uint32_t owner, uint64_t size, void *context)
{
    struct walk *walk = context;

    if (owner != SH_OWNER_OBJECT || size < sizeof(struct sh_object))
        return 0;
    return walk->visit(sh_at(offset), walk->context);
}

int sh_object_walk(sh_object_visitor *visit, void *context)
{
    struct walk walk = {visit, context};
    return sh_block_walk(visit_block, &walk);
}

/* Keep a living object from being destroyed while it is mended: who drops its last handle leaves that to the burier. */
static int begin_burial(struct sh_object *object)
{
    sh_block_lock_arena();
    int is_alive = is_live(sh_offset(object));
    if (is_alive)
        sh_store_relaxed(&sh_arena.shared->burying, sh_offset(object));
    sh_word_unlock(&sh_arena.shared->word);
    return is_alive;
}

static int bury_in(struct sh_object *object, void *context)
{
    uint32_t tag = *(uint32_t *)context;

    if (begin_burial(object)) {
        const struct sh_object_kind *kind = kind_of(object);
        if (kind && kind->bury)
            kind->bury(object, tag);
        clear_attached(object, sh_member_slot(tag));
        destroy_if_left(object, 1);
    } else if (sh_load_acquire(&object->state) == ((uint64_t)tag << STATE_BITS | SH_OBJECT_DYING) &&
               sh_block_owner(sh_offset(object)) == SH_OWNER_OBJECT) {
        /* Its destroyer died in that. From here on it is ours: should we die too, our own burial goes on with it. */
        sh_store_release(&object->state, (uint64_t)sh_member_tag() << STATE_BITS | SH_OBJECT_DYING);
        destroy(object);
    }
    return 0;
}

void sh_object_reclaim(uint32_t tag)
{
    sh_object_walk(bury_in, &tag);
}

static int check_object(struct sh_object *object, void *context)
{
    (void)context;
    SH_HOLDS(object->kind > SH_KIND_NONE && object->kind < SH_KIND_COUNT);
    SH_HOLDS(object->generation != 0);
    SH_HOLDS(state_of(object) == SH_OBJECT_LIVE || state_of(object) == SH_OBJECT_DYING);
    const struct sh_object_kind *kind = kind_of(object);
    SH_HOLDS(kind != NULL);
    return kind->check && state_of(object) == SH_OBJECT_LIVE ? kind->check(object) : 0;
}

int sh_object_check(void)
{
    return sh_object_walk(check_object, NULL);
}
