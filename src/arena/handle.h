/* handle.h - a process's handle of a shared object: what open, attach, ref and free of all nouns have in common.
 *
 * A noun's handle is a struct that begins with struct sh_handle, on the heap of one process:
 *
 *     struct shoal_queue {
 *         struct sh_handle handle;
 *         ...
 *     };
 *
 * Fork copies handles. The child's copies count from its first call of the library on; where the object has gone by
 * then, each use of its handle is -ESTALE. */
#ifndef SH_ARENA_HANDLE_H
#define SH_ARENA_HANDLE_H

#include "arena/object.h"

#include <errno.h>
#include <shoal/ref.h>

/* object, kind and generation never change. epoch is that of the process in which the handle is known to be good; any
 * thread may write it, all write the same. */
struct sh_handle {
    struct sh_object *object;
    uint32_t kind;
    uint32_t generation;
    _Atomic uint32_t epoch;
};

/* Make an object with a body of body_size bytes, and a handle of handle_size bytes; both are zero behind their heads.
 * Then publish or discard it. */
int sh_handle_create(enum sh_kind kind, size_t body_size, size_t handle_size, struct sh_handle **ret_handle);
void sh_handle_publish(struct sh_handle *handle);
void sh_handle_discard(struct sh_handle *handle);

/* Attach to the object that the ref names: -EINVAL, -EXDEV, -ESTALE, -ENOMEM. */
int sh_handle_attach(const shoal_ref *ref, enum sh_kind kind, size_t handle_size, struct sh_handle **ret_handle);

int sh_handle_ref(const struct sh_handle *handle, shoal_ref *ret_ref);

/* Drop the handle; NULL is fine. What else the noun's struct holds has been given up before. */
void sh_handle_free(struct sh_handle *handle);

int sh_handle_enter_slowly(const struct sh_handle *handle);

/* Whether a call on this object can begin: the process is attached, and the object known to be there. */
static inline int sh_handle_is_entered(const struct sh_handle *handle)
{
    uint32_t epoch = sh_load_relaxed(sh_thread_epoch);
    return sh_likely(sh_load_relaxed(&handle->epoch) == epoch) && sh_likely(sh_thread_state.epoch == epoch);
}

/* Begin a call on this object: attach the process where it is a forked child that has not, and see that the object is
 * still there. After it sh_thread_state is this thread's. */
static inline int sh_handle_enter(const struct sh_handle *handle)
{
    return sh_handle_is_entered(handle) ? 0 : sh_handle_enter_slowly(handle);
}

#endif
