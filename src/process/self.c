/* self.c - the layer's mutex, and what becomes of its state in a forked child. */
#include "process/self.h"

#include "process/server.h"

#include <pthread.h>

struct sh_self sh_self;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    pthread_mutex_lock(&mutex);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&mutex);
}

static void after_fork_in_child(void)
{
    sh_server_forget();
    pthread_mutex_unlock(&mutex);
}

static void follow_forks(void)
{
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

void sh_self_lock(void)
{
    pthread_once(&fork_once, follow_forks);
    pthread_mutex_lock(&mutex);
}

void sh_self_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}
