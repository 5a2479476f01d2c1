#include "container/oom.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/base/mem.h"

/* A tree of files like those of the kernel. */
struct tree {
    char root[64];
    char *list; /* like /proc/self/cgroup */
};

static void put(const struct tree *t, const char *path, const char *text)
{
    auto_free char *whole = mem_printf("%s%s", t->root, path);
    for (char *p = whole + strlen(t->root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        cr_assert(mkdir(whole, 0700) == 0 || errno == EEXIST);
        *p = '/';
    }
    FILE *f = fopen(whole, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

static void plant(struct tree *t, const char *list)
{
    snprintf(t->root, sizeof(t->root), "/tmp/test-oom-XXXXXX");
    cr_assert_not_null(mkdtemp(t->root));
    t->list = mem_printf("%s/list", t->root);
    put(t, "/list", list);
}

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void fell(struct tree *t)
{
    nftw(t->root, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
    free(t->list);
}

Test(oom, counts_from_the_start_on_in_both_versions)
{
    static const struct {
        const char *list, *file;
    } cases[] = {
        { "0::/\n", "/memory.events" },
        { "0::/jobs/a b\n", "/jobs/a b/memory.events" },
        { "0::/seen/from/the/host\n", "/memory.events" },
        { "3:cpu,cpuacct:/x\n4:memory:/docker/1f\n0::/x\n",
          "/memory/docker/1f/memory.oom_control" },
        { "4:memory:/ecs/task/1f\n", "/memory/memory.oom_control" },
        { "4:cpu,memory,pids:/\n", "/memory/memory.oom_control" },
        /* Version 1 without the file (an old kernel), version 2 mounted beside it. */
        { "4:memory:/x\n0::/x\n", "/x/memory.events" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tree t;
        struct oom o;
        plant(&t, cases[i].list);
        put(&t, cases[i].file, "low 0\noom 9\noom_kill 3\noom_group_kill 7\n");
        oom_open(&o, t.list, t.root);
        cr_assert_eq(oom_kills(&o), 0, "case %zu", i);
        put(&t, cases[i].file, "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
        cr_assert_eq(oom_kills(&o), 2, "case %zu", i);
        oom_release(&o);
        fell(&t);
    }
}

Test(oom, without_a_count_there_are_none)
{
    static const struct {
        const char *list, *file, *text;
    } cases[] = {
        { "", "/memory.events", "oom_kill 1\n" },
        { "nonsense\n::\n4\n4:memory\n", "/memory.events", "oom_kill 1\n" },
        { "0::/\n", "/else", "" },
        { "0::/\n", "/memory.events", "oom_kill many\n" },
        { "0::/\n", "/memory.events", "oom_kill -1\n" },
        { "4:memoryless:/\n", "/memory/memory.oom_control", "oom_kill 1\n" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tree t;
        struct oom o;
        plant(&t, cases[i].list);
        put(&t, cases[i].file, cases[i].text);
        oom_open(&o, t.list, t.root);
        cr_assert_eq(oom_kills(&o), 0, "case %zu", i);
        cr_assert_null(o.path, "case %zu", i);
        oom_release(&o);
        fell(&t);
    }
    struct oom o;
    oom_open(&o, "/no/such/list", "/no/such/root");
    cr_assert_eq(oom_kills(&o), 0);
    oom_release(&o);
}
