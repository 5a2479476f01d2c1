/* exits.h - exit statuses of callback-run's own, the numbers of sysexits.h. */
#ifndef CONTAINER_EXITS_H
#define CONTAINER_EXITS_H

#define EXIT_USAGE         64  /* EX_USAGE */
#define EXIT_NO_INPUT      66  /* EX_NOINPUT: no input, or nothing at that place of it */
#define EXIT_START_FAILED  71  /* EX_OSERR */
#define EXIT_NOT_DELIVERED 74  /* EX_IOERR */
#define EXIT_GONE          75  /* EX_TEMPFAIL: the workflow no longer waits */
#define EXIT_TIMEOUT       124 /* as timeout(1) has it */

#endif
