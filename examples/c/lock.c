/* lock.c - two processes add to one counter: without a lock some of it gets lost, with a lock nothing does. */
#include <shoal/shoal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROUNDS = 10000 };

/* What a process is told. The counter lies in memory that both share; forked processes have it at the same address. */
struct work {
    volatile int *counter;
    shoal_lock *lock; /* NULL: without. A handle made before the fork is good after it, too. */
};

/* A call that fails returns a negative number; shoal_strerror says what it means. */
static void must(long result)
{
    if (result < 0) {
        fprintf(stderr, "%s\n", shoal_strerror((int)result));
        exit(1);
    }
}

/* Runs in a process of its own. */
static int add(void *argument, size_t size)
{
    const struct work *work = argument;

    (void)size;
    for (int i = 0; i < ROUNDS; i++) {
        if (work->lock != NULL)
            must(shoal_lock_acquire(work->lock, SHOAL_FOREVER));
        int seen = *work->counter;
        if (i % 100 == 0)
            usleep(10); /* now it is the other's turn */
        *work->counter = seen + 1;
        if (work->lock != NULL)
            must(shoal_lock_release(work->lock));
    }
    return 0;
}

/* Let two processes count; returns how far they came. */
static int count(struct work work)
{
    shoal_process *p1, *p2;

    *work.counter = 0;
    must(shoal_process_start(NULL, add, &work, sizeof work, &p1));
    must(shoal_process_start(NULL, add, &work, sizeof work, &p2));
    must(shoal_process_join(p1, SHOAL_FOREVER));
    must(shoal_process_join(p2, SHOAL_FOREVER));
    shoal_process_free(p1);
    shoal_process_free(p2);
    return *work.counter;
}

int main(void)
{
    struct work work = {0};
    shoal_lock *lock;
    void *memory = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    work.counter = memory;
    must(shoal_lock_open(NULL, &lock));

    printf("without a lock: %d of %d\n", count(work), 2 * ROUNDS);
    work.lock = lock;
    printf("with a lock:    %d of %d\n", count(work), 2 * ROUNDS);

    shoal_lock_free(lock);
    munmap(memory, sizeof(int));
    return 0;
}
