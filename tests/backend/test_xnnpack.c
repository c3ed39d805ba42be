/*
 * The random steps of test_backend.c by XNNPACK's kernels, where XNNPACK is installed, whether or
 * not the library is built with it: the Makefile compiles what knows of it once more for this
 * program.
 */
#if HSI_HAVE_XNNPACK

#define TEST_XNNPACK 1
#include "backend/test_backend.c"

#else

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_absent(void **state)
{
    (void)state;
    print_message("skipped: there is no XNNPACK as of 2022 (Debian 12: libxnnpack-dev "
                  "libpthreadpool-dev)\n");
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_absent) };
    return cmocka_run_group_tests_name("xnnpack", tests, NULL, NULL);
}

#endif
