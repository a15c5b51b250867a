/* again.c - starting the program again, and shoal_main, where it comes back. */
#include "process/again.h"

#include "arena/arena.h"
#include "arena/block.h"
#include "os/clock.h"
#include "os/life.h"
#include "os/poll.h"
#include "os/process.h"
#include "os/socket.h"
#include "process/registry.h"
#include "process/server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK "SHOAL_CHILD"
#define MARK_SIZE (sizeof MARK + 21)     /* with = and a number */
#define MAGIC UINT64_C(0x6e696167616873) /* "shagain" */

enum { ARENA, TICKET, HANDED }; /* the descriptors that go with a hello */

/* The first message to the child. */
struct hello {
    uint64_t magic;
    uint32_t layout; /* of the arena, and so the library's version */
    uint32_t is_server;
    struct sh_again_call call;
};

/* What main began with: the program's arguments, in one piece of memory, NULL before shoal_main; and the signals
 * blocked, since the thread that starts a process may block others. */
static char **program_arguments;
static sigset_t program_mask;

int sh_again_is_possible(void)
{
    return program_arguments != NULL;
}

int sh_again_is_astray(void)
{
    return getenv(MARK) != NULL;
}

static int keep_beginning(int count, char **arguments)
{
    size_t size = ((size_t)count + 1) * sizeof *arguments;

    for (int i = 0; i < count; i++)
        size += strlen(arguments[i]) + 1;
    char **kept = malloc(size);
    if (!kept)
        return -ENOMEM;
    char *text = (char *)(kept + count + 1);
    for (int i = 0; i < count; i++) {
        kept[i] = text;
        text = stpcpy(text, arguments[i]) + 1;
    }
    kept[count] = NULL;
    sh_process_signal_mask(&program_mask);
    program_arguments = kept;
    return 0;
}

/* This process's environment with the mark added, which names a socket: on the heap, of its own are the array and the
 * mark. */
static char **marked_environment(uint64_t identity)
{
    size_t count = 0;

    while (environ && environ[count])
        count++;
    char **copy = malloc((count + 2) * sizeof *copy + MARK_SIZE);
    if (!copy)
        return NULL;
    copy[0] = (char *)&copy[count + 2];
    snprintf(copy[0], MARK_SIZE, MARK "=%" PRIu64, identity);
    for (size_t i = 0; i < count; i++)
        copy[i + 1] = environ[i];
    copy[count + 1] = NULL;
    return copy;
}

int sh_again_receive(int socket, int pidfd, void *data, size_t size, int *ret_fds, unsigned count, int64_t deadline)
{
    int r;

    do
        r = sh_poll_any((int[]){socket, pidfd}, 2, deadline);
    while (r == -EINTR);
    if (r != 0)
        return r == 1 ? -ECHILD : r;
    r = sh_socket_receive(socket, data, size, ret_fds, count);
    return r == -EPIPE ? -ECHILD : r;
}

/* Say go and hear the answer. */
static int await_answer(int socket, int pidfd)
{
    int32_t answer = 0;
    int r = sh_socket_send(socket, &answer, sizeof answer, NULL, 0);

    if (r == 0)
        r = sh_again_receive(socket, pidfd, &answer, sizeof answer, NULL, 0, SH_DEADLINE_NEVER);
    return r == 0 ? answer : r == -EPIPE ? -ECHILD : r;
}

static pid_t spawn(int socket, int *ret_pidfd)
{
    uint64_t identity;
    int r = sh_socket_identity(socket, &identity);

    if (r < 0)
        return r;
    char **environment = marked_environment(identity);
    if (!environment)
        return -ENOMEM;
    pid_t pid = sh_process_spawn(program_arguments, environment, &program_mask, socket, ret_pidfd);
    free(environment);
    return pid == -ENOENT ? -ENOSYS : pid; /* no /proc */
}

static int send_hello(int socket, const struct sh_again_call *call, int ticket)
{
    struct hello hello = {.magic = MAGIC, .layout = SH_ARENA_LAYOUT, .is_server = !call};
    int handed[HANDED] = {[ARENA] = sh_arena.fd, [TICKET] = ticket};

    if (ticket < 0)
        return -ENOSYS;
    if (call)
        hello.call = *call;
    return sh_socket_send(socket, &hello, sizeof hello, handed, HANDED);
}

pid_t sh_again_start(const struct sh_again_call *call, int ticket, int *ret_pidfd, int *ret_socket)
{
    int ends[2], pidfd;
    int r = sh_socket_pair(ends);

    if (r < 0)
        return r;
    r = send_hello(ends[0], call, ticket);
    pid_t pid = r < 0 ? r : spawn(ends[1], &pidfd);
    sh_socket_close(ends[1]);
    if (pid < 0)
        goto close_socket;
    r = await_answer(ends[0], pidfd);
    if (r < 0) {
        sh_process_abandon(pidfd, pid);
        pid = r;
        goto close_socket;
    }
    *ret_pidfd = pidfd;
    if (!call) {
        *ret_socket = ends[0];
        return pid;
    }

close_socket:
    sh_socket_close(ends[0]);
    return pid;
}

static int is_text(const char *name)
{
    return memchr(name, 0, SH_NAME_SIZE) != NULL;
}

int sh_again_prepare(const struct sh_again_call *call, struct sh_start *ret_start)
{
    if (!is_text(call->function) || !is_text(call->name))
        return -EINVAL;
    sh_registry_function *function = sh_registry_find(call->function);
    struct sh_start start = {
        .function = (shoal_process_function *)(void (*)(void))function,
        .block = call->block,
        .tag = call->tag,
        .flags = call->flags,
        .by_default = call->by_default,
        .name = call->name[0] ? call->name : NULL,
    };

    if (!function)
        return -ENOENT;
    uint64_t capacity = call->block ? sh_block_capacity(call->block) : 0;
    if (call->block && (capacity == 0 || capacity < call->size)) /* it is no block, or a smaller one */
        return -EINVAL;
    int r = sh_start_copy(&start, sh_at(call->block), call->block ? call->size : 0);
    if (r == 0)
        *ret_start = start;
    return r;
}

void sh_again_take_name(void)
{
    const char *slash = strrchr(program_arguments[0], '/');

    sh_process_set_name(slash ? slash + 1 : program_arguments[0]);
}

static int answer(int socket, int32_t result)
{
    return sh_socket_send(socket, &result, sizeof result, NULL, 0);
}

/* Tell the parent why this process cannot be what it asked for, and end. */
static void refuse(int socket, int error) __attribute__((noreturn));
static void refuse(int socket, int error)
{
    (void)answer(socket, error);
    sh_process_exit(1);
}

/* Be what the parent asked for. */
static void become(const struct hello *hello, const int *handed) __attribute__((noreturn));
static void become(const struct hello *hello, const int *handed)
{
    int socket = SH_PROCESS_HANDED;
    struct sh_start start = {0};
    int32_t go;

    sh_life_follow(handed[TICKET]);
    if (sh_socket_receive(socket, &go, sizeof go, NULL, 0) < 0)
        sh_process_exit(1); /* the parent has given up */
    int r = hello->layout == SH_ARENA_LAYOUT ? sh_arena_join(handed[ARENA]) : -EPROTO;
    if (r == 0 && !hello->is_server)
        r = sh_again_prepare(&hello->call, &start);
    if (r < 0)
        refuse(socket, r);
    if (answer(socket, 0) < 0)
        sh_process_exit(1); /* nobody waits for it, or would learn that it began */
    if (hello->is_server)
        sh_server_serve(socket);
    sh_socket_close(socket);
    if (start.flags & SHOAL_PROCESS_DETACHED)
        sh_life_unfollow();
    sh_start_run(&start);
}

/* Whether this process was started again for another: the mark names the socket that it was handed. Another mark is a
 * stranger's. */
static int is_again(void)
{
    const char *mark = getenv(MARK);
    uint64_t identity;
    int r = mark ? sh_socket_identity(SH_PROCESS_HANDED, &identity) : -EBADF;

    return r < 0 ? r != -EBADF : strtoull(mark, NULL, 10) == identity;
}

/* The hello was sent before this process began. */
static int read_hello(struct hello *ret_hello, int *ret_handed)
{
    int r = sh_socket_receive(SH_PROCESS_HANDED, ret_hello, sizeof *ret_hello, ret_handed, HANDED);

    return r == 0 && ret_hello->magic != MAGIC ? -EPROTO : r;
}

int shoal_main(int argc, char **argv)
{
    struct hello hello = {0};
    int handed[HANDED];

    if (argc < 1 || !argv || !argv[0])
        return -EINVAL;
    int r = program_arguments ? 0 : keep_beginning(argc, argv);
    if (!is_again()) {
        unsetenv(MARK);
        return r;
    }
    unsetenv(MARK);
    if (r == 0)
        r = read_hello(&hello, handed);
    if (r < 0) /* a child never goes on as the program */
        refuse(SH_PROCESS_HANDED, r);
    sh_process_close_on_exec(SH_PROCESS_HANDED);
    sh_again_take_name();
    become(&hello, handed);
}
