/* leak.c - what a test leaves behind: descriptors, shared mappings, children, orphans, names. */
#include "internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the library keeps for the life of a process. */
#define FAMILY_MEMFD "/memfd:shoal"
#define FAMILY_SERVER "shoal-server"

/* A set of lines. */
struct lines {
    char **line;
    size_t count, capacity;
};

static void add_line(struct lines *lines, const char *line)
{
    if (lines->count == lines->capacity) {
        lines->capacity = lines->capacity ? 2 * lines->capacity : 64;
        lines->line = realloc(lines->line, lines->capacity * sizeof *lines->line);
        if (!lines->line)
            abort();
    }
    if (!(lines->line[lines->count++] = strdup(line)))
        abort();
}

static void free_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->line[i]);
    free(lines->line);
}

static bool has_line(const struct lines *lines, const char *line)
{
    for (size_t i = 0; i < lines->count; i++)
        if (strcmp(lines->line[i], line) == 0)
            return true;
    return false;
}

/* Note, as a failure, each line of a that is not in b. */
static void note_missing(const struct lines *a, const struct lines *b, const char *what)
{
    for (size_t i = 0; i < a->count; i++)
        if (!has_line(b, a->line[i]))
            test_note("%s %s", what, a->line[i]);
}

/* --- In the test's process: descriptors, shared mappings, children. --- */

struct test_holdings {
    struct lines fds;      /* "7 pipe:[1234]" */
    struct lines mappings; /* "7f0000000000 /dev/zero (deleted)", shared ones only */
};

static _Atomic uint64_t allowed_fds[1024 / 64];

void test_allow_fd(int fd)
{
    if (fd >= 0 && fd < 1024)
        allowed_fds[fd / 64] |= 1ull << (fd % 64);
}

/* The pipe by which processes of the library die with each other, and the connection to the forkserver. Programs that
 * do not link the process layer do not have them. */
enum { LIFE_DESCRIPTORS = 3, SERVER_DESCRIPTORS = 2 };
void sh_life_descriptors(int ret_fds[LIFE_DESCRIPTORS]);
pid_t sh_server_descriptors(int ret_fds[SERVER_DESCRIPTORS]);
#pragma weak sh_life_descriptors
#pragma weak sh_server_descriptors

static bool is_kept_fd(int fd)
{
    int fds[LIFE_DESCRIPTORS + SERVER_DESCRIPTORS] = {-1, -1, -1, -1, -1};

    if (sh_life_descriptors)
        sh_life_descriptors(fds);
    if (sh_server_descriptors)
        sh_server_descriptors(fds + LIFE_DESCRIPTORS);
    for (int i = 0; i < LIFE_DESCRIPTORS + SERVER_DESCRIPTORS; i++)
        if (fds[i] == fd)
            return true;
    return false;
}

static bool is_allowed_fd(int fd, const char *link)
{
    if (is_kept_fd(fd))
        return true;
    if (strncmp(link, FAMILY_MEMFD, strlen(FAMILY_MEMFD)) == 0)
        return true;
    return fd < 1024 && (allowed_fds[fd / 64] >> (fd % 64) & 1);
}

static void add_fds(struct lines *lines)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;

    if (!dir)
        abort();
    while ((entry = readdir(dir))) {
        char link[256], line[300];
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(dir))
            continue;
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        link[n < 0 ? 0 : n] = '\0';
        snprintf(line, sizeof line, "%d (%s)", fd, link);
        if (!is_allowed_fd(fd, link))
            add_line(lines, line);
    }
    closedir(dir);
}

static void add_mappings(struct lines *lines)
{
    char line[1024], flags[8], range[64], path[512];
    FILE *file = fopen("/proc/self/maps", "re");

    if (!file)
        abort();
    while (fgets(line, sizeof line, file)) {
        path[0] = '\0';
        if (sscanf(line, "%63s %7s %*s %*s %*s %511[^\n]", range, flags, path) < 2 || flags[3] != 's')
            continue;
        char text[600];
        snprintf(text, sizeof text, "%s (%s)", range, path);
        if (strncmp(path, FAMILY_MEMFD, strlen(FAMILY_MEMFD)) != 0)
            add_line(lines, text);
    }
    fclose(file);
}

struct test_holdings *test_holdings_new(void)
{
    struct test_holdings *holdings = calloc(1, sizeof *holdings);

    if (!holdings)
        abort();
    add_fds(&holdings->fds);
    add_mappings(&holdings->mappings);
    return holdings;
}

void test_holdings_free(struct test_holdings *holdings)
{
    free_lines(&holdings->fds);
    free_lines(&holdings->mappings);
    free(holdings);
}

void test_holdings_compare(const struct test_holdings *before)
{
    struct test_holdings *after = test_holdings_new();

    note_missing(&after->fds, &before->fds, "left open: descriptor");
    note_missing(&before->fds, &after->fds, "closed or changed: descriptor");
    note_missing(&after->mappings, &before->mappings, "left mapped and shared:");
    test_holdings_free(after);
}

/* The children of a process, of all its threads, up to capacity; returns how many. */
static size_t list_children(pid_t pid, pid_t *children, size_t capacity)
{
    char path[64];
    size_t count = 0;
    const struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    while ((entry = readdir(dir))) {
        char line[4096];
        test_read_line(line, sizeof line, "/proc/%d/task/%s/children", (int)pid, entry->d_name);
        char *rest = line, *word;
        while (count < capacity && (word = strtok_r(rest, " ", &rest)))
            children[count++] = atoi(word);
    }
    closedir(dir);
    return count;
}

void test_check_children(void)
{
    siginfo_t info = {0};
    pid_t children[64];
    char name[64];

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid) {
        test_note("left unreaped: child %d, which ended by %s %d", (int)info.si_pid,
                  info.si_code == CLD_EXITED ? "exit code" : "signal", info.si_status);
        info.si_pid = 0;
    }
    size_t count = list_children(getpid(), children, sizeof children / sizeof *children);
    for (size_t i = 0; i < count; i++) {
        test_read_line(name, sizeof name, "/proc/%d/comm", (int)children[i]);
        if (strcmp(name, FAMILY_SERVER) != 0)
            test_note("left running: child %d (%s)", (int)children[i], name);
    }
}

/* --- In the harness: orphans and names. --- */

/* Call a function for each descendant of this process, children before their parents. */
static void visit_descendants(pid_t pid, void (*visit)(pid_t))
{
    pid_t children[256];
    size_t count = list_children(pid, children, sizeof children / sizeof *children);

    for (size_t i = 0; i < count; i++) {
        visit_descendants(children[i], visit);
        visit(children[i]);
    }
}

static void kill_process(pid_t pid)
{
    kill(pid, SIGKILL);
}

static void note_survivor(pid_t pid)
{
    char name[64];

    if (!test_is_alive(pid))
        return;
    test_read_line(name, sizeof name, "/proc/%d/comm", (int)pid);
    test_note("still running a second after the test's process: %d (%s)", (int)pid, name);
}

static void describe(pid_t pid)
{
    char path[64], name[64], wait[64], call[200];
    const struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        const char *tid = entry->d_name;
        test_read_line(name, sizeof name, "/proc/%d/task/%s/comm", (int)pid, tid);
        test_read_line(wait, sizeof wait, "/proc/%d/task/%s/wchan", (int)pid, tid);
        test_read_line(call, sizeof call, "/proc/%d/task/%s/syscall", (int)pid, tid);
        test_note("process %d thread %s (%s) waits in %s, system call %s", (int)pid, tid, name, wait, call);
    }
    closedir(dir);
}

void test_describe_descendants(void)
{
    visit_descendants(getpid(), describe);
}

void test_kill_descendants(void)
{
    /* A process may fork while this looks: again, until there is nobody left. */
    for (;;) {
        visit_descendants(getpid(), kill_process);
        pid_t pid = waitpid(-1, NULL, 0);
        if (pid < 0 && errno == ECHILD)
            return;
    }
}

void test_reap_orphans(void)
{
    int64_t end = test_now() + test_time(1);

    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD)
            return;
        if (pid == 0 && test_now() > end)
            break;
        if (pid == 0)
            test_nap();
    }
    visit_descendants(getpid(), note_survivor);
    test_kill_descendants();
}

struct test_names {
    struct lines names;
};

struct test_names *test_names_new(void)
{
    static const char *const places[] = {"/dev/shm", "/dev/mqueue", "/tmp"};
    const char *word = getenv("TEST_NAMES");
    struct test_names *names = calloc(1, sizeof *names);

    if (!names)
        abort();
    if (!word)
        word = "shoal";
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        DIR *dir = opendir(places[i]);
        const struct dirent *entry;
        while (dir && (entry = readdir(dir))) {
            char path[300];
            snprintf(path, sizeof path, "%s/%s", places[i], entry->d_name);
            if (strstr(entry->d_name, word))
                add_line(&names->names, path);
        }
        if (dir)
            closedir(dir);
    }
    return names;
}

void test_names_free(struct test_names *names)
{
    free_lines(&names->names);
    free(names);
}

void test_names_compare(const struct test_names *before)
{
    struct test_names *after = test_names_new();

    note_missing(&after->names, &before->names, "left behind:");
    test_names_free(after);
}
