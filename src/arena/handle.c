/* handle.c - handles: making, verifying and freeing them. */
#include "arena/handle.h"

#include <stdlib.h>

static void fill(struct sh_handle *handle, void *body)
{
    struct sh_object *object = body;

    handle->object = object;
    handle->kind = object->kind;
    handle->generation = object->generation;
    sh_store_relaxed(&handle->epoch, sh_thread_process_epoch());
}

int sh_handle_create(enum sh_kind kind, size_t body_size, size_t handle_size, struct sh_handle **ret_handle)
{
    struct sh_handle *handle = calloc(1, handle_size);
    void *body;

    if (!handle)
        return -ENOMEM;
    int r = sh_object_create(kind, body_size, &body);
    if (r < 0) {
        free(handle);
        return r;
    }
    fill(handle, body);
    *ret_handle = handle;
    return 0;
}

void sh_handle_publish(struct sh_handle *handle)
{
    sh_object_publish(handle->object);
}

void sh_handle_discard(struct sh_handle *handle)
{
    sh_object_discard(handle->object);
    free(handle);
}

int sh_handle_attach(const shoal_ref *ref, enum sh_kind kind, size_t handle_size, struct sh_handle **ret_handle)
{
    struct sh_handle *handle;
    void *body;

    if (!ref)
        return -EINVAL;
    handle = calloc(1, handle_size);
    if (!handle)
        return -ENOMEM;
    int r = sh_object_attach(ref, kind, &body);
    if (r < 0) {
        free(handle);
        return r;
    }
    fill(handle, body);
    *ret_handle = handle;
    return 0;
}

int sh_handle_ref(const struct sh_handle *handle, shoal_ref *ret_ref)
{
    if (!handle || !ret_ref)
        return -EINVAL;
    *ret_ref = (shoal_ref){
        .family = sh_arena.shared->family,
        .offset = sh_offset(handle->object),
        .kind = handle->kind,
        .generation = handle->generation,
    };
    return 0;
}

void sh_handle_free(struct sh_handle *handle)
{
    if (!handle)
        return;
    if (sh_handle_enter(handle) == 0)
        sh_object_drop(handle->object);
    free(handle);
}

int sh_handle_enter_slowly(const struct sh_handle *handle)
{
    int r = sh_arena_enter();

    if (r < 0)
        return r;
    sh_thread_self();
    /* Entering attached this process to the object, unless it was gone; while attached, it stays. */
    if (!sh_object_is(handle->object, handle->kind, handle->generation))
        return -ESTALE;
    struct sh_handle *own = (struct sh_handle *)(uintptr_t)handle; /* handles are never const objects */
    sh_store_relaxed(&own->epoch, sh_thread_process_epoch());
    return 0;
}
