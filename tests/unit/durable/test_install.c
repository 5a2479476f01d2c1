#include <criterion/criterion.h>
#include <stdlib.h>

Test(install, a_program_builds_against_what_is_installed_and_runs, .timeout = 600)
{
    unsetenv("LD_PRELOAD");
    cr_assert_eq(system("tests/unit/durable/install-check"), 0);
}
