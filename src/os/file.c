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

static long long read_number(const char *path)
{
    char text[64];
    char *end;

    if (sh_file_read(path, text, sizeof text) <= 0)
        return -1;
    long long number = strtoll(text, &end, 10);
    return end == text || number < 0 ? -1 : number;
}

/* The smallest limit in this folder of a hierarchy and all above it. Cuts group's text up. */
static long long smallest_upwards(const char *root, char *group, const char *file)
{
    long long smallest = -1;

    for (;;) {
        char path[PATH_SIZE];
        if (snprintf(path, sizeof path, "%s%s/%s", root, group, file) < (int)sizeof path) {
            long long limit = read_number(path);
            if (limit >= 0 && (smallest < 0 || limit < smallest))
                smallest = limit;
        }
        char *slash = strrchr(group, '/');
        if (!slash)
            return smallest;
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

long long sh_file_cgroup_limit(const char *file2, const char *controller, const char *file1)
{
    char groups[4096] = "";
    long long smallest = -1;

    if (sh_file_read("/proc/self/cgroup", groups, sizeof groups) <= 0)
        return -1;
    for (char *line = groups, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        char *names = strchr(line, ':');
        char *group = names ? strchr(names + 1, ':') : NULL;
        if (!group)
            continue;
        names++;
        size_t length = (size_t)(group - names);
        group++;
        char root[128];
        const char *file;
        if (length == 0) {
            snprintf(root, sizeof root, "/sys/fs/cgroup");
            file = file2;
        } else if (lists(names, length, controller)) {
            snprintf(root, sizeof root, "/sys/fs/cgroup/%s", controller);
            file = file1;
        } else {
            continue;
        }
        if (strcmp(group, "/") == 0)
            *group = 0;
        long long limit = smallest_upwards(root, group, file);
        if (limit >= 0 && (smallest < 0 || limit < smallest))
            smallest = limit;
    }
    return smallest;
}
