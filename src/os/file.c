/* file.c - reading /proc and /sys. */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE 1024

ssize_t sh_file_read(const char *path, char *buffer, size_t capacity)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    size_t done = 0;
    while (done < capacity - 1) {
        ssize_t r = read(fd, buffer + done, capacity - 1 - done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            break;
        done += (size_t)r;
    }
    close(fd);
    buffer[done] = 0;
    return (ssize_t)done;
}

long long sh_file_read_number(const char *path)
{
    char text[64];
    char *end;

    if (sh_file_read(path, text, sizeof text) <= 0)
        return -1;
    long long number = strtoll(text, &end, 10);
    return end == text || number < 0 ? -1 : number;
}

/* The smaller of two limits, of which -1 is none. */
static long long lesser(long long a, long long b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* The smallest limit of this group and all above it, in the hierarchy mounted at root. Cuts group's text up. */
static long long least_upwards(const char *root, char *group, sh_file_limit_reader *read_limit, int version)
{
    long long least = -1;

    for (;;) {
        char folder[PATH_SIZE];
        if (snprintf(folder, sizeof folder, "%s%s", root, group) < (int)sizeof folder)
            least = lesser(least, read_limit(folder, version));
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = 0;
    }
}

/* Whether a comma-separated list has this word. */
static int lists(const char *list, size_t length, const char *word)
{
    size_t size = strlen(word);

    for (const char *at = list; at + size <= list + length; at++)
        if (strncmp(at, word, size) == 0 && (at == list || at[-1] == ',') &&
            (at + size == list + length || at[size] == ','))
            return 1;
    return 0;
}

/* The limit that a line of /proc/self/cgroup leads to: "4:memory:/group", and "0::/group" in version 2. */
static long long follow_line(char *line, const char *controller, sh_file_limit_reader *read_limit)
{
    char root[PATH_SIZE / 8];
    char *names = strchr(line, ':');
    char *group = names ? strchr(names + 1, ':') : NULL;

    if (!group)
        return -1;
    names++;
    size_t length = (size_t)(group - names);
    group++;
    if (strcmp(group, "/") == 0)
        *group = 0;
    if (length == 0)
        return least_upwards("/sys/fs/cgroup", group, read_limit, 2);
    if (!lists(names, length, controller))
        return -1;
    snprintf(root, sizeof root, "/sys/fs/cgroup/%s", controller);
    return least_upwards(root, group, read_limit, 1);
}

long long sh_file_cgroup_least(const char *controller, sh_file_limit_reader *read_limit)
{
    char groups[4096];
    long long least = -1;

    if (sh_file_read("/proc/self/cgroup", groups, sizeof groups) <= 0)
        return -1;
    for (char *line = groups, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        least = lesser(least, follow_line(line, controller, read_limit));
    }
    return least;
}
