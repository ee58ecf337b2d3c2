/* The system's permission to use AMX. */
#ifndef PLENS_RUNTIME_AMX_PERMISSION_H
#define PLENS_RUNTIME_AMX_PERMISSION_H

/* Asks Linux for it (5.16 and later). Returns NULL if it is granted, else why not. Given once it
 * holds for all threads of the process, its children by fork included, until it ends, and makes
 * the frames of signals some 8 KiB larger; a thread's alternate signal stack that is too small for
 * that makes Linux refuse. [Linux, Documentation/arch/x86/xstate.rst] */
const char *plens__amx_permission(void);

#endif
