/* mutex.h - libc's robust mutex, for what is held for long or while words are taken: it is really linked into the
 * kernel's list, so it nests. */
#ifndef SH_OS_MUTEX_H
#define SH_OS_MUTEX_H

#include <pthread.h>
#include <stdint.h>

struct sh_mutex {
    pthread_mutex_t mutex;
};

int sh_mutex_init(struct sh_mutex *mutex);

/* Take it: 0, or SHOAL_OWNER_DIED; sh_mutex_trylock: -EBUSY where it is held, by this thread too. */
int sh_mutex_lock(struct sh_mutex *mutex);
int sh_mutex_trylock(struct sh_mutex *mutex);
void sh_mutex_unlock(struct sh_mutex *mutex);

/* The futex word inside it: a thread id and the kernel's two bits, as in os/word.h. */
_Atomic uint32_t *sh_mutex_word(struct sh_mutex *mutex);

#endif
