/* event.h - what an event is. */
#ifndef SH_SYNC_EVENT_H
#define SH_SYNC_EVENT_H

#include "arena/handle.h"
#include "os/word.h"

#include <shoal/event.h>

/* The shared body.
 *
 * state: 1 where it is set; above that bit, how often it has been set, which goes up by compare-and-swap together with
 *     the bit. Anybody writes it, with one store, holding nothing.
 * bell: where waiters sleep; never locked. */
struct sh_event_shared {
    struct sh_object object;
    struct sh_word bell;
    _Atomic uint64_t state;
};

struct shoal_event {
    struct sh_handle handle;
};

extern const struct sh_object_kind sh_event_kind;

#endif
