/* limits.c - the C column of the kill matrix: limits that are reached, and processes that others fork. */
#include "matrix.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

static void set_limit(int what, rlim_t most)
{
    struct rlimit limit;

    CHECK_SYS(getrlimit(what, &limit));
    limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
    CHECK_SYS(setrlimit(what, &limit));
}

/* --- memory --- */

TEST(arena_full)
{
    enum { SIZE = 1 << 20 };
    struct shoal_arena_options options = {SHOAL_OPTIONS(shoal_arena), .limit = 8 << 20};
    char *message = calloc(1, SIZE);
    shoal_queue *queue;
    int count = 0, r;

    CHECK_OK(shoal_arena_open(&options));
    CHECK_OK(shoal_queue_open(NULL, &queue));
    while ((r = shoal_queue_put(queue, message, SIZE, 0)) == 0)
        count++;
    CHECK_EQ(r, -ENOMEM);
    CHECK_GE(count, 4);
    for (; count > 0; count--)
        CHECK_EQ(shoal_queue_get(queue, message, SIZE, 0), SIZE);
    CHECK_OK(shoal_queue_put(queue, message, SIZE, 0));
    CHECK_EQ(shoal_queue_get(queue, message, SIZE, 0), SIZE);
    shoal_queue_free(queue);
    free(message);
}

static uint64_t addresses(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    CHECK(file && fscanf(file, "%llu", &pages) == 1);
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct chunk {
    struct chunk *next;
};

/* Take all that malloc gives. */
static struct chunk *take_all(void)
{
    struct chunk *chunks = NULL, *chunk;

    for (size_t size = 1 << 20; size >= sizeof *chunk; size /= 2) {
        while ((chunk = malloc(size))) {
            chunk->next = chunks;
            chunks = chunk;
        }
    }
    return chunks;
}

static void give_all(struct chunk *chunks)
{
    while (chunks) {
        struct chunk *next = chunks->next;
        free(chunks);
        chunks = next;
    }
}

TEST(main_out_of_memory)
{
    shoal_pool *pool = open_pool(WORKERS);
    struct rlimit before;
    shoal_queue *queue;
    shoal_future *future;
    int x = 3;

    if (test_under_asan())
        SKIP("AddressSanitizer ends a program whose memory runs out");
    check_squares(pool, ITEMS);
    CHECK_SYS(getrlimit(RLIMIT_AS, &before));
    set_limit(RLIMIT_AS, addresses());
    struct chunk *chunks = take_all();
    int opened = shoal_queue_open(NULL, &queue);
    int submitted = shoal_pool_submit(pool, NULL, square, &x, sizeof x, 1, &future);
    give_all(chunks);
    CHECK_SYS(setrlimit(RLIMIT_AS, &before));
    CHECK_EQ(opened, -ENOMEM);
    CHECK(submitted == 0 || submitted == -ENOMEM); /* there may be memory kept for it */
    if (submitted == 0) {
        CHECK_EQ(shoal_future_get(future, 0, &x, sizeof x, SHOAL_FOREVER), sizeof x);
        shoal_future_free(future);
    }
    check_lives(pool, WORKERS);
}

TEST(addresses_limited)
{
    if (test_under_asan() || test_under_tsan())
        SKIP("sanitizers need all addresses");
    set_limit(RLIMIT_AS, 1 << 30);
    check_lives(open_pool(WORKERS), WORKERS);
}

/* --- descriptors and processes --- */

static size_t count_descriptors(void)
{
    size_t count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Open a pool where there is nothing left of something, then with it back. */
static void try_without(int limit, rlim_t most, int error)
{
    struct rlimit before;
    pid_t pids[MOST_PROCESSES];
    shoal_pool *pool;

    check_lives(open_pool(WORKERS), WORKERS);
    size_t descriptors = count_descriptors();
    CHECK_SYS(getrlimit(limit, &before));
    for (int i = 0; i < 3; i++) {
        set_limit(limit, most);
        CHECK_RETURN(shoal_pool_open(NULL, &pool), error);
        CHECK_SYS(setrlimit(limit, &before));
    }
    CHECK_EQ(count_descriptors(), descriptors);
    CHECK_EQ(list_children(getpid(), pids, 0), 0);
    check_lives(open_pool(WORKERS), WORKERS);
}

TEST(descriptors_exhausted)
{
    check_lives(open_pool(1), 1); /* what the library keeps is there */
    int lowest = dup(0);          /* none from here on may be opened */
    CHECK_SYS(close(lowest));
    try_without(RLIMIT_NOFILE, (rlim_t)lowest, -EMFILE);
}

/* RLIMIT_NPROC does not bind root: become a user who has no other processes. */
static void become_nobody(void)
{
    uid_t user = 60000 + (uid_t)getpid() % 5000;

    if (getuid() != 0)
        return;
    CHECK_SYS(setresgid(user, user, user));
    CHECK_SYS(setresuid(user, user, user));
    CHECK_SYS(prctl(PR_SET_DUMPABLE, 1)); /* its files under /proc are its own again */
}

TEST(processes_exhausted)
{
    pid_t child;

    CHILD(child) {
        become_nobody();
        try_without(RLIMIT_NPROC, 1, -EAGAIN);
    }
    CHECK_EXITS(child, 0);
}

static int die_if_bad(shoal_task *task)
{
    int x;

    if (shoal_task_arg(task, &x, sizeof x) == 0 && x == BAD)
        raise(SIGKILL);
    return square(task);
}

static void limit_everybody(const pid_t *pids, size_t count, rlim_t most)
{
    struct rlimit limit;

    for (size_t i = 0; i <= count; i++) {
        pid_t pid = i < count ? pids[i] : getpid();
        if (prlimit(pid, RLIMIT_NPROC, NULL, &limit) == 0) {
            limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
            CHECK(prlimit(pid, RLIMIT_NPROC, &limit, NULL) == 0 || errno == ESRCH);
        }
    }
}

static void lose_a_worker_without_processes(void)
{
    shoal_pool *pool = open_pool(WORKERS);
    pid_t pids[MOST_PROCESSES];
    int lost = 0, x;

    check_squares(pool, ITEMS);
    AWAIT(is_full(pool, WORKERS));
    size_t count = list_children(getpid(), pids, 0);
    limit_everybody(pids, count, 1);
    for (int i = 0; i < ITEMS; i++)
        lost += shoal_pool_apply(pool, die_if_bad, &i, sizeof i, &x, sizeof x) == -ECHILD;
    limit_everybody(pids, count, RLIM_INFINITY);
    CHECK_EQ(lost, 1);
    check_lives(pool, WORKERS);
}

TEST(worker_dies_without_processes)
{
    pid_t child;

    CHILD(child) {
        become_nobody();
        lose_a_worker_without_processes();
    }
    CHECK_EXITS(child, 0);
}

/* --- disks --- */

static int print_and_square(shoal_task *task)
{
    printf("item %d\n", (int)shoal_task_item(task));
    return fflush(stdout) == EOF ? -errno : square(task);
}

TEST(stdout_full)
{
    int output = dup(STDOUT_FILENO), full = open("/dev/full", O_WRONLY | O_CLOEXEC), x = 3;

    CHECK(output >= 0 && full >= 0);
    CHECK_SYS(dup2(full, STDOUT_FILENO));
    shoal_pool *pool = open_pool(WORKERS);
    ssize_t r = shoal_pool_apply(pool, print_and_square, &x, sizeof x, &x, sizeof x);
    CHECK_SYS(dup2(output, STDOUT_FILENO));
    CHECK_SYS(close(output));
    CHECK_SYS(close(full));
    CHECK_EQ(r, -ENOSPC); /* as the task said */
    check_lives(pool, WORKERS);
}

static int return_large(shoal_task *task)
{
    size_t size = 1 << 20;
    void *large = calloc(1, size);
    int r = large ? shoal_task_return(task, large, size) : -ENOMEM;

    free(large);
    return r;
}

/* A queue, a lock, and a pool whose task returns something large: 0, or the first error. */
static int use_everything(void)
{
    enum { SIZE = 1 << 20 };
    char *large = calloc(1, SIZE);
    shoal_queue *queue = NULL;
    shoal_lock *lock = NULL;
    shoal_pool *pool = NULL;
    int r = shoal_queue_open(NULL, &queue);

    if (r == 0)
        r = shoal_queue_put(queue, large, SIZE, SHOAL_FOREVER);
    if (r == 0)
        CHECK_EQ(shoal_queue_get(queue, large, SIZE, 0), SIZE);
    if (r == 0 && (r = shoal_lock_open(NULL, &lock)) == 0) {
        CHECK_OK(shoal_lock_acquire(lock, 0));
        CHECK_OK(shoal_lock_release(lock));
    }
    if (r == 0)
        r = shoal_pool_open(NULL, &pool);
    if (r == 0) {
        ssize_t size = shoal_pool_apply(pool, return_large, NULL, 0, large, SIZE);
        r = size < 0 ? (int)size : 0;
    }
    shoal_pool_free(pool);
    shoal_lock_free(lock);
    shoal_queue_free(queue);
    free(large);
    return r;
}

static void fill(const char *folder)
{
    char path[100];

    CHECK_SYS(mount("none", folder, "tmpfs", 0, "size=4k"));
    snprintf(path, sizeof path, "%s/filler", folder);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK_EQ(write(file, path, sizeof path), (ssize_t)sizeof path);
    CHECK_SYS(close(file));
}

TEST(shm_and_tmp_full)
{
    pid_t child;

    if (getuid() != 0)
        SKIP("only root may mount");
    CHILD(child) {
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_PRIVATE | MS_REC, NULL) != 0)
            SKIP("mounting is not allowed here");
        fill("/dev/shm");
        fill("/tmp");
        CHECK_OK(use_everything());
    }
    CHECK_EXITS(child, 0);
}

/* Files may not grow beyond this, from the start, or once the family is there. Returns what came of it. */
static int use_with_limit(rlim_t most, bool from_start)
{
    int told[2], r;
    pid_t child;

    CHECK_SYS(pipe(told));
    CHILD(child) {
        if (!from_start)
            CHECK_OK(use_everything());
        set_limit(RLIMIT_FSIZE, most);
        r = use_everything();
        CHECK_EQ(write(told[1], &r, sizeof r), sizeof r);
    }
    CHECK_EXITS(child, 0); /* and not killed by SIGXFSZ */
    CHECK_EQ(read(told[0], &r, sizeof r), sizeof r);
    CHECK_SYS(close(told[0]));
    CHECK_SYS(close(told[1]));
    return r;
}

TEST(files_may_not_grow)
{
    CHECK_RETURN(use_with_limit(0, true), -ENOMEM);
    CHECK_RETURN(use_with_limit(64 << 10, true), -ENOMEM);
    CHECK_OK(use_with_limit(64 << 20, true));
    CHECK_OK(use_with_limit(0, false));
}

/* --- forks --- */

struct holder {
    shoal_queue *queue;
    shoal_lock *lock;
    _Atomic int *stop;
};

static void *use_locks(void *argument)
{
    const struct holder *holder = argument;
    char message[2000] = {0};

    while (!*holder->stop) {
        CHECK_GE(shoal_lock_acquire(holder->lock, SHOAL_FOREVER), 0);
        CHECK_OK(shoal_queue_put(holder->queue, message, sizeof message, SHOAL_FOREVER));
        CHECK_EQ(shoal_queue_get(holder->queue, message, sizeof message, SHOAL_FOREVER), sizeof message);
        CHECK_OK(shoal_lock_release(holder->lock));
        free(malloc(100000));
    }
    return NULL;
}

static shoal_queue *answers;

static int answer(void *argument, size_t size)
{
    return shoal_queue_put(answers, argument, size, SHOAL_FOREVER) < 0;
}

TEST_WITHIN(60, fork_with_threads)
{
    static _Atomic int stop;
    struct holder holder = {.stop = &stop};
    pthread_t threads[3];
    struct shoal_exit how;

    CHECK_OK(shoal_queue_open(NULL, &holder.queue));
    CHECK_OK(shoal_queue_open(NULL, &answers));
    CHECK_OK(shoal_lock_open(NULL, &holder.lock));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, use_locks, &holder), 0);
    for (int i = 0; i < 100; i++) {
        shoal_process *process;
        int got;
        CHECK_OK(shoal_process_start(NULL, answer, &i, sizeof i, &process));
        CHECK_EQ(shoal_queue_get(answers, &got, sizeof got, SHOAL_SECONDS(10)), sizeof got);
        CHECK_EQ(got, i);
        CHECK_OK(shoal_process_join(process, SHOAL_SECONDS(10)));
        CHECK_OK(shoal_process_exit(process, &how));
        CHECK_EQ(how.code, 0);
        CHECK_EQ(how.signal, 0);
        shoal_process_free(process);
    }
    stop = 1;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    shoal_lock_free(holder.lock);
    shoal_queue_free(answers);
    shoal_queue_free(holder.queue);
}

/* What a process does that somebody else forked. */
static void use(shoal_queue *queue, shoal_lock *lock, int number)
{
    CHECK_GE(shoal_lock_acquire(lock, SHOAL_SECONDS(10)), 0);
    CHECK_OK(shoal_queue_put(queue, &number, sizeof number, SHOAL_FOREVER));
    CHECK_OK(shoal_lock_release(lock));
}

TEST(foreign_fork)
{
    shoal_pool *pool = open_pool(WORKERS);
    shoal_queue *queue;
    shoal_lock *lock;
    pid_t child;
    int got;

    check_squares(pool, ITEMS);
    CHECK_OK(shoal_queue_open(NULL, &queue));
    CHECK_OK(shoal_lock_open(NULL, &lock));
    for (int i = 0; i < 10; i++) {
        CHILD(child) {
            use(queue, lock, i);
            if (i % 2)
                exit(0); /* in order: with all that is registered to run at the end */
        }
        CHECK_EQ(shoal_queue_get(queue, &got, sizeof got, SHOAL_SECONDS(10)), sizeof got);
        CHECK_EQ(got, i);
        CHECK_EXITS(child, 0);
    }
    shoal_lock_free(lock);
    shoal_queue_free(queue);
    check_lives(pool, WORKERS);
}

TEST(double_fork)
{
    shoal_queue *queue;
    shoal_lock *lock;
    pid_t child, grandchild;
    int got;

    CHECK_OK(shoal_queue_open(NULL, &queue));
    CHECK_OK(shoal_lock_open(NULL, &lock));
    for (int i = 0; i < 10; i++) {
        CHILD(child) {
            pid_t parent = getpid();
            CHILD(grandchild) {
                if (i % 2) /* at times its parent has gone before */
                    AWAIT(getppid() != parent);
                use(queue, lock, i);
            }
        }
        CHECK_EXITS(child, 0);
        CHECK_EQ(shoal_queue_get(queue, &got, sizeof got, SHOAL_SECONDS(10)), sizeof got);
        CHECK_EQ(got, i);
    }
    CHECK_GE(shoal_lock_acquire(lock, SHOAL_SECONDS(10)), 0);
    CHECK_OK(shoal_lock_release(lock));
    shoal_lock_free(lock);
    shoal_queue_free(queue);
}

/* Daemonised by somebody else: it outlives the main process, which dies with the lock. */
static void be_daemon(shoal_queue *queue, shoal_lock *lock, int told, int tell)
{
    char byte;

    CHECK_SYS(setsid());
    CHECK_EQ(read(told, &byte, 1), 0); /* the main process has gone */
    CHECK_RETURN(shoal_lock_acquire(lock, SHOAL_SECONDS(10)), SHOAL_OWNER_DIED);
    CHECK_OK(shoal_queue_put(queue, "d", 1, SHOAL_FOREVER));
    CHECK_EQ(shoal_queue_get(queue, &byte, 1, SHOAL_SECONDS(10)), 1);
    CHECK_OK(shoal_lock_release(lock));
    CHECK_EQ(write(tell, &byte, 1), 1);
}

TEST(daemon_outlives)
{
    int answered[2];
    pid_t child;
    char byte;

    CHECK_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1));
    CHECK_SYS(pipe(answered));
    CHILD(child) {
        int alive[2], ready[2];
        shoal_queue *queue;
        shoal_lock *lock;
        pid_t daemon;
        CHECK_SYS(pipe(alive));
        CHECK_SYS(pipe(ready));
        CHECK_OK(shoal_queue_open(NULL, &queue));
        CHECK_OK(shoal_lock_open(NULL, &lock));
        CHILD(daemon) {
            CHECK_SYS(close(alive[1]));
            CHECK_EQ(write(ready[1], "r", 1), 1);
            be_daemon(queue, lock, alive[0], answered[1]);
        }
        CHECK_EQ(read(ready[0], &byte, 1), 1);
        CHECK_OK(shoal_lock_acquire(lock, 0));
        raise(SIGKILL);
    }
    CHECK_KILLED(child, SIGKILL);
    CHECK_EQ(read(answered[0], &byte, 1), 1);
    CHECK_EQ(byte, 'd');
    CHECK_EQ(waitpid(-1, NULL, 0) > 0, 1);
    CHECK_SYS(close(answered[0]));
    CHECK_SYS(close(answered[1]));
}
