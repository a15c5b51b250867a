/* registry.h - names of functions, by which they are found in a program that was started again. */
#ifndef SH_PROCESS_REGISTRY_H
#define SH_PROCESS_REGISTRY_H

typedef void sh_registry_function(void);

/* The function of a name, and the name of a function; NULL where there is none. Names live as long as the program. */
sh_registry_function *sh_registry_find(const char *name);
const char *sh_registry_name(sh_registry_function *function);

#endif
