/* thread.c - per-thread state and the page that is wiped by fork. */
#include "os/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(_Atomic uint32_t) == 4, "a futex word is four bytes");

/* What no process's epoch is: threads begin with it. */
#define NO_EPOCH UINT32_MAX

static _Atomic uint32_t first_epoch = 1; /* stands in until the page is there */
static _Atomic uint32_t last_epoch = 1;  /* private memory: a child inherits its parent's */

_Thread_local struct sh_thread sh_thread_state = {.epoch = NO_EPOCH};
_Atomic(_Atomic uint32_t *) sh_thread_epoch = &first_epoch;

static pthread_once_t page_once = PTHREAD_ONCE_INIT;

static void forget_in_child(void)
{
    sh_store_relaxed(&first_epoch, 0);
}

static void make_page(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page != MAP_FAILED && madvise(page, size, MADV_WIPEONFORK) == 0) {
        _Atomic uint32_t *epoch = page;
        sh_store_relaxed(epoch, 1);
        sh_store_release(&sh_thread_epoch, epoch); /* pairs with the load in sh_thread_self */
        return;
    }
    /* Kernels before 4.14, or no memory for a page: forks by libc's fork are noticed all the same. */
    if (page != MAP_FAILED)
        munmap(page, size);
    pthread_atfork(NULL, NULL, forget_in_child);
}

/* musl registers a thread's robust list with its first robust mutex. */
static void make_libc_register(void)
{
    pthread_mutexattr_t robust;
    pthread_mutex_t mutex;

    pthread_mutexattr_init(&robust);
    pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&robust, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&mutex, &robust);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    pthread_mutex_destroy(&mutex);
    pthread_mutexattr_destroy(&robust);
}

static struct robust_list_head *find_robust_list(void)
{
    struct robust_list_head *head = NULL;
    size_t size = 0;

    if (syscall(SYS_get_robust_list, 0, &head, &size) == 0 && head)
        return head;
    make_libc_register();
    if (syscall(SYS_get_robust_list, 0, &head, &size) == 0 && head)
        return head;
    abort(); /* no Linux that runs this library lacks robust lists */
}

void sh_thread_enter(void)
{
    pthread_once(&page_once, make_page);

    _Atomic uint32_t *place = sh_load_acquire(&sh_thread_epoch);
    uint32_t epoch = sh_load_acquire(place);
    if (epoch == 0) { /* a forked child: the first of its threads to come gives it its epoch */
        uint32_t next = sh_add_ordered(&last_epoch, 1) + 1;
        if (sh_cas_ordered(place, &epoch, next))
            epoch = next;
    }

    struct robust_list_head *head = find_robust_list();
    sh_thread_state = (struct sh_thread){
        .robust = head,
        .pending = (void *volatile *)(void *)&head->list_op_pending,
        .node = -head->futex_offset,
        .tid = (uint32_t)syscall(SYS_gettid),
        .epoch = epoch,
    };
}
