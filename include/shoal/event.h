/* event.h - a flag that processes wait for. */
#ifndef SHOAL_EVENT_H
#define SHOAL_EVENT_H

#include <shoal/base.h>
#include <shoal/ref.h>

typedef struct shoal_event shoal_event;

SHOAL_BEGIN

/* Make an event; it is not set. */
SHOAL_API int shoal_event_open(shoal_event **ret_event);
SHOAL_API int shoal_event_attach(const shoal_ref *ref, shoal_event **ret_event);
SHOAL_API int shoal_event_ref(const shoal_event *event, shoal_ref *ret_ref);
SHOAL_API void shoal_event_free(shoal_event *event);

/* Set the flag and wake all that wait for it; clear it. */
SHOAL_API int shoal_event_set(shoal_event *event);
SHOAL_API int shoal_event_clear(shoal_event *event);

/* 1 where it is set, else 0. */
SHOAL_API int shoal_event_is_set(const shoal_event *event);

/* Wait until it is set: 0, -EAGAIN or -ETIMEDOUT. A waiter that slept when it was set returns 0 even where it has
 * been cleared again since. */
SHOAL_API int shoal_event_wait(shoal_event *event, int64_t timeout);

SHOAL_END

#endif
