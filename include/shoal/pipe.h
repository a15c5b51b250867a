/* pipe.h - two ends, each with its own handle; what one sends the other receives, message by message. */
#ifndef SHOAL_PIPE_H
#define SHOAL_PIPE_H

#include <shoal/base.h>
#include <shoal/queue.h>
#include <shoal/ref.h>

/* One end of a pipe. */
typedef struct shoal_pipe shoal_pipe;

enum {
    SHOAL_PIPE_DUPLEX = 1 << 0, /* both ends send and receive; else the first receives and the second sends */
};

SHOAL_BEGIN

SHOAL_API int shoal_pipe_open(unsigned flags, shoal_pipe **ret_first, shoal_pipe **ret_second);
SHOAL_API int shoal_pipe_attach(const shoal_ref *ref, shoal_pipe **ret_end);
SHOAL_API int shoal_pipe_ref(const shoal_pipe *end, shoal_ref *ret_ref);

/* Drop this process's handle of this end; NULL is fine. When no living process has a handle of an end left, the
 * other end's sends are -EPIPE, and so are its receives once it has taken all that was sent. */
SHOAL_API void shoal_pipe_free(shoal_pipe *end);

/* As shoal_queue_put and so on. -EBADF for the wrong direction. */
SHOAL_API int shoal_pipe_send(shoal_pipe *end, const void *data, size_t size, int64_t timeout);
SHOAL_API int shoal_pipe_send_parts(shoal_pipe *end, const struct shoal_bytes *parts, size_t count, int64_t timeout);
SHOAL_API ssize_t shoal_pipe_receive(shoal_pipe *end, void *buffer, size_t capacity, int64_t timeout);
SHOAL_API int shoal_pipe_receive_message(shoal_pipe *end, struct shoal_message *ret_message, int64_t timeout);

/* Wait until receive would not block: 0, -EAGAIN, -ETIMEDOUT. */
SHOAL_API int shoal_pipe_poll(shoal_pipe *end, int64_t timeout);
/* As shoal_queue_fd, for the receiving direction. */
SHOAL_API int shoal_pipe_fd(shoal_pipe *end);

SHOAL_END

#endif
