/* mutex.c - libc's robust mutex. */
#include "os/mutex.h"

#include <errno.h>
#include <shoal/base.h>

int sh_mutex_init(struct sh_mutex *mutex)
{
    pthread_mutexattr_t attributes;
    int r = pthread_mutexattr_init(&attributes);

    if (r)
        return -r;
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    r = pthread_mutex_init(&mutex->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return -r;
}

static int taken(struct sh_mutex *mutex, int r)
{
    if (r == EOWNERDEAD) {
        pthread_mutex_consistent(&mutex->mutex);
        return SHOAL_OWNER_DIED;
    }
    return -r;
}

int sh_mutex_lock(struct sh_mutex *mutex)
{
    return taken(mutex, pthread_mutex_lock(&mutex->mutex));
}

int sh_mutex_trylock(struct sh_mutex *mutex)
{
    return taken(mutex, pthread_mutex_trylock(&mutex->mutex));
}

void sh_mutex_unlock(struct sh_mutex *mutex)
{
    pthread_mutex_unlock(&mutex->mutex);
}

_Atomic uint32_t *sh_mutex_word(struct sh_mutex *mutex)
{
#if defined(__GLIBC__)
    return (_Atomic uint32_t *)(void *)&mutex->mutex; /* __data.__lock, the first member */
#else
    return (_Atomic uint32_t *)(void *)&mutex->mutex + 1; /* musl: _m_lock, the second int */
#endif
}
