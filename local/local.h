/* local.h - what every part of local-aws is handed. main.c owns all of it; everything lives longer
 * than the parts. The loop's thread only. */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include "local/config.h"
#include "local/loop.h"
#include "local/store.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

struct aws_api;
struct ecs_docker_config;
struct faults;
struct lambda;
struct outbox;
struct service_time;
struct record_file;

struct local {
    const struct config *config;
    const struct clock *clock; /* of the services: service_time.h */
    struct service_time *time; /* NULL: it is the machine's */
    struct log *log;
    struct loop *loop;
    struct store *store;
    struct aws_api *api;
    struct lambda *lambda;
    struct faults *faults;      /* what tests have ordered */
    struct outbox *outbox;      /* events to a function */
    struct record_file *record; /* of all requests; NULL: none */
    const char *aws_url;        /* "http://127.0.0.1:4566": set once the AWS port listens */
    const struct ecs_docker_config *docker; /* tasks are containers; NULL: processes */
    const char *path;                       /* PATH for the processes that it starts */
};

#endif
