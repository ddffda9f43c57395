/*
 * process - what kind of process the driver is
 *
 * Role:    its memory, its namespace, its directories, its life in the background. Threads: before
 * any other thread, but for process_serving(). All of it acts on the whole process.
 */
#ifndef PROCESS_H
#define PROCESS_H

/* The key is in its memory: no core, also none by pipe, and no debugger of the same user. */
void process_guard_memory(void);

/* Few arenas for the many small strings of jobs, and large texts given back to the system at once:
 * for 100 000 jobs this is 50 MB. */
void process_tune_memory(void);

/* For mount -N: from here on the files are those of the mount namespace FILE. 0 or -errno. */
int process_enter_namespace(const char *file);

/* Makes PATH, absolute, with mode 0700, and what is missing above it with 0755. PATH is changed
 * while it runs: when it fails it ends with what could not be made. 0 or -errno. */
int process_make_dirs(char *path);

/* Forks, to serve in the background. In the child: 0, and *PARENT is for process_serving(). In the
 * parent, which waits until the child has called that or has ended: 1, and *STATUS is 0, or what
 * the child ended with, or -1 when it was killed. -errno: there is no child. */
int process_fork(int *parent, int *status);

/* Lets the terminal and the waiting PARENT go, and closes PARENT. Not before the mount is there: an
 * automount lets only its own process group pass until then. 0 or -errno: nobody waits. */
int process_serving(int parent);

#endif
