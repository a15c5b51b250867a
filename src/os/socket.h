/* socket.h - pairs of connected sockets that carry whole messages, and descriptors with them. */
#ifndef SH_OS_SOCKET_H
#define SH_OS_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#define SH_SOCKET_MOST_FDS 4

/* Make a pair, close-on-exec. */
int sh_socket_pair(int ret_ends[2]);
void sh_socket_close(int fd);

/* A number that no other socket of this machine has, as long as it is open. -EBADF where the descriptor is none. */
int sh_socket_identity(int fd, uint64_t *ret_identity);

/* Send one message, with copies of count descriptors. -EPIPE where the other end is gone; never SIGPIPE. */
int sh_socket_send(int fd, const void *data, size_t size, const int *fds, unsigned count);

/* Wait for a message of exactly size bytes, with count descriptors or none; those missing are -1. -EPIPE where the
 * other end is gone, -EPROTO for another message, -EMFILE where there was no room for the descriptors: the message is
 * there then, in data, and lost in the other cases. */
int sh_socket_receive(int fd, void *data, size_t size, int *ret_fds, unsigned count);

#endif
