/* ref.h - names of shared objects that travel: in a message, in a task's argument, through a socket. */
#ifndef SHOAL_REF_H
#define SHOAL_REF_H

#include <shoal/base.h>

/* A shared object, named so that any process of the family can attach to it with shoal_<noun>_attach. It is plain
 * bytes and may be copied. It does not keep the object alive: the object goes with its last handle, and attaching
 * after that is -ESTALE. Attaching from another family is -EXDEV, with a ref of another noun -EINVAL. */
typedef struct shoal_ref {
    uint64_t family;     /* the family that the object belongs to */
    uint64_t offset;     /* where it lies in the family's arena */
    uint32_t kind;       /* which noun it is */
    uint32_t generation; /* tells it from an earlier object at the same place */
} shoal_ref;

#endif
