/* bell.h - a descriptor that one process polls and any other of the same user can make readable.
 *
 * It is a pipe that is open for reading and writing at once, so it never hangs up. Another process reaches it by its
 * number and the owner's pid, through /proc. A byte in it means: look. More than one means the same. */
#ifndef SH_OS_BELL_H
#define SH_OS_BELL_H

#include <sys/types.h>

/* Make one, close-on-exec: its descriptor. -ENOSYS where /proc is not there. */
int sh_bell_open(void);
void sh_bell_close(int fd);

/* Make the bell with this number in that process readable, or not. -ESRCH where it is gone; -EMFILE, -ENFILE, -ENOMEM
 * and others of open and fstat where it could not be reached. */
int sh_bell_ring(pid_t owner, int fd);
int sh_bell_silence(pid_t owner, int fd);

#endif
