/* pipe.h - pipes as the arena sees them. */
#ifndef SH_QUEUE_PIPE_H
#define SH_QUEUE_PIPE_H

#include "queue/queue.h"

extern const struct sh_object_kind sh_pipe_kind;

#endif
