/* registry.c - a list that grows while the program's constructors run. */
#include "process/registry.h"

#include "process/self.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    const char *name;
    sh_registry_function *function;
};

static struct entry *entries;
static size_t count, capacity;

static struct entry *find(const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    return NULL;
}

static int add(const char *name, sh_registry_function *function)
{
    if (count == capacity) {
        size_t larger = capacity ? 2 * capacity : 16;
        struct entry *moved = realloc(entries, larger * sizeof *entries);
        if (!moved)
            return -ENOMEM;
        entries = moved;
        capacity = larger;
    }
    entries[count++] = (struct entry){name, function};
    return 0;
}

int shoal_register(const char *name, void (*function)(void))
{
    if (!name || !function || !*name || strlen(name) >= SH_NAME_SIZE)
        return -EINVAL;
    sh_self_lock();
    const struct entry *known = find(name);
    int r = !known ? add(name, function) : known->function == function ? 0 : -EEXIST;
    sh_self_unlock();
    return r;
}

sh_registry_function *sh_registry_find(const char *name)
{
    sh_self_lock();
    const struct entry *known = find(name);
    sh_registry_function *function = known ? known->function : NULL;
    sh_self_unlock();
    return function;
}

const char *sh_registry_name(sh_registry_function *function)
{
    const char *name = NULL;

    sh_self_lock();
    for (size_t i = 0; i < count && !name; i++)
        if (entries[i].function == function)
            name = entries[i].name;
    sh_self_unlock();
    return name;
}
