/* Runs a command and kills it (SIGKILL) as its first thread begins its N-th call that changes
 * files: open for writing, write, fsync, rename, unlink, mkdir, rmdir. So a kill can be tried at
 * every state that the disk goes through. Linux.
 *
 *     kill_at N COMMAND [ARGUMENT…]     exits 0 if it was killed, 1 if it ended before, 2 if that
 *                                       cannot be done here
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

/* 1 if a call that begins changes files. */
static int changes_files(const struct ptrace_syscall_info *call) {
    switch (call->entry.nr) {
    case SYS_openat:
        return (call->entry.args[2] & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
#ifdef SYS_open
    case SYS_open:
        return (call->entry.args[1] & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
    case SYS_rename:
    case SYS_unlink:
    case SYS_mkdir:
    case SYS_rmdir:
#endif
#ifdef SYS_renameat
    case SYS_renameat:
#endif
    case SYS_renameat2:
    case SYS_unlinkat:
    case SYS_mkdirat:
    case SYS_write:
    case SYS_fsync:
        return 1;
    default:
        return 0;
    }
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    long left = strtol(argv[1], NULL, 10);
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(126);
        raise(SIGSTOP);
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, child, NULL,
               (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) != 0)
        return 2;
    for (int signal = 0;;) {
        if (ptrace(PTRACE_SYSCALL, child, NULL, (void *)(long)signal) != 0 ||
            waitpid(child, &status, 0) != child)
            return 2;
        if (WIFEXITED(status) || WIFSIGNALED(status))
            return WIFEXITED(status) && WEXITSTATUS(status) < 126 ? 1 : 2;
        signal = WSTOPSIG(status) == (SIGTRAP | 0x80) || WSTOPSIG(status) == SIGTRAP
                     ? 0
                     : WSTOPSIG(status);
        struct ptrace_syscall_info call;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80))
            continue;
        if (ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof call, &call) <= 0)
            return 2;
        if (call.op == PTRACE_SYSCALL_INFO_ENTRY && changes_files(&call) && --left == 0) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return 0;
        }
    }
}
