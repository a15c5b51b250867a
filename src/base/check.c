/* check.c - the note that failed checks leave. */
#include "base/check.h"

_Thread_local const char *sh_check_note = "";
