/* Medians, percentiles and intervals of the benchmarks, against tables and against coverage. */
#include "common/support.h"

#include <math.h>

#include "cli/statistics.h"

static void test_medians(void **state)
{
    (void)state;
    double odd[] = { 5, 1, 9 }, even[] = { 4, 1, 8, 2 }, one[] = { 7 };
    double endless[] = { INFINITY, 1, INFINITY };
    assert_true(cli_median(odd, 3) == 5);
    assert_true(odd[0] == 1 && odd[2] == 9); /* sorted */
    assert_true(cli_median(even, 4) == 3);
    assert_true(cli_median(one, 1) == 7);
    assert_true(cli_median(endless, 3) == INFINITY);
    assert_true(isnan(cli_median(NULL, 0)));
}

static void test_percentiles(void **state)
{
    (void)state;
    double sorted[100];
    for (int i = 0; i < 100; i++)
        sorted[i] = i + 1;
    assert_true(cli_percentile(sorted, 100, 0) == 1);
    assert_true(cli_percentile(sorted, 100, 0.5) == 50);
    assert_true(cli_percentile(sorted, 100, 0.99) == 99);
    assert_true(cli_percentile(sorted, 100, 0.991) == 100);
    assert_true(cli_percentile(sorted, 100, 1) == 100);
    assert_true(cli_percentile(sorted, 1, 0.99) == 1);
    assert_true(isnan(cli_percentile(sorted, 0, 0.5)));
}

/* Ranks and levels as tables have them (Conover, "Practical Nonparametric Statistics", table A3
 * of the binomial distribution at 1/2). */
static void test_ranks(void **state)
{
    (void)state;
    static const struct {
        int n, rank;
        double level;
    } table[] = {
        { 1, 1, 0 },          { 2, 1, 0.5 },       { 5, 1, 0.9375 },
        { 6, 1, 0.96875 },    { 8, 1, 0.992188 },  { 9, 2, 0.960938 },
        { 10, 2, 0.978516 },  { 15, 4, 0.964844 }, { 20, 6, 0.958611 },
        { 30, 10, 0.957226 },
    };
    double samples[30];
    for (size_t t = 0; t < sizeof table / sizeof *table; t++) {
        const int n = table[t].n;
        for (int i = 0; i < n; i++)
            samples[i] = n - i; /* n to 1 */
        const cli_interval interval = cli_median_interval(samples, (size_t)n);
        assert_true(interval.low == table[t].rank);
        assert_true(interval.high == n + 1 - table[t].rank);
        assert_true(fabs(interval.level - table[t].level) < 1e-5);
        assert_true(samples[0] == n); /* left as they were */
    }
    const cli_interval empty = cli_median_interval(NULL, 0);
    assert_true(isnan(empty.low) && isnan(empty.high) && empty.level == 0);
}

/* The exact ranks and those by the normal distribution meet. */
static void test_many_samples(void **state)
{
    (void)state;
    static double samples[1001];
    for (int i = 0; i < 1001; i++)
        samples[i] = i;
    const cli_interval exact = cli_median_interval(samples, 1000),
                       normal = cli_median_interval(samples, 1001);
    assert_true(fabs(exact.low - normal.low) <= 2);
    assert_true(fabs(exact.high - normal.high) <= 2);
    assert_true(normal.low < 500 && 500 < normal.high);
    assert_true(normal.level == 0.95);
}

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* Of a skewed distribution whose median is known: as often as it says, and not always. */
static void test_coverage(void **state)
{
    (void)state;
    enum {
        TRIALS = 4000,
        N = 15
    };
    uint64_t random = 7;
    int held = 0;
    for (int t = 0; t < TRIALS; t++) {
        double samples[N];
        for (int i = 0; i < N; i++)
            samples[i] = -log(1 - uniform(&random));
        const cli_interval interval = cli_median_interval(samples, N);
        held += interval.low <= log(2) && log(2) <= interval.high;
    }
    assert_true(held > 0.95 * TRIALS && held < 0.98 * TRIALS); /* 0.9648 */
}

static void test_shares(void **state)
{
    (void)state;
    enum {
        ROUNDS = 20,
        TRIALS = 300
    };
    double missed[ROUNDS], released[ROUNDS];
    uint64_t random = 3;
    int held = 0;
    for (int t = 0; t < TRIALS; t++) {
        for (int i = 0; i < ROUNDS; i++) {
            released[i] = 50 + floor(100 * uniform(&random));
            missed[i] = 0;
            for (int k = 0; k < released[i]; k++)
                missed[i] += uniform(&random) < 0.1;
        }
        const cli_interval interval = cli_share_interval(missed, released, ROUNDS);
        assert_true(interval.low < interval.high && interval.level == 0.95);
        held += interval.low <= 0.1 && 0.1 <= interval.high;
    }
    assert_true(held > 0.88 * TRIALS &&
                held < TRIALS); /* a bootstrap of 20 is a bit narrow */
    const cli_interval again = cli_share_interval(missed, released, ROUNDS),
                       same = cli_share_interval(missed, released, ROUNDS);
    assert_true(again.low == same.low && again.high == same.high);
    memset(missed, 0, sizeof missed);
    const cli_interval never = cli_share_interval(missed, released, ROUNDS);
    assert_true(never.low == 0 && never.high == 0);
    assert_true(cli_share_interval(missed, released, 1).level == 0);
    for (size_t n = 2; n <= 7; n++) /* no surer than the range of so few is */
        assert_true(fabs(cli_share_interval(missed, released, n).level -
                         (n < 6 ? 1 - pow(0.5, (double)n - 1) : 0.95)) < 1e-12);
    assert_true(cli_share_interval(missed, missed, ROUNDS).level == 0); /* 0 of 0 */
}

static void test_levels(void **state)
{
    (void)state;
    static const double levels[] = { 0, 0, 0.5, 0.75, 0.875, 0.9375, 0.95, 0.95 };
    double samples[8] = { 0 };
    for (size_t n = 0; n < sizeof levels / sizeof levels[0]; n++) {
        assert_true(fabs(cli_interval_level(n) - levels[n]) < 1e-12);
        assert_true(cli_median_interval(samples, n).level >= levels[n] - 1e-12);
    }
    assert_true(cli_interval_level(1000000) == 0.95);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_medians),  cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_ranks),    cmocka_unit_test(test_many_samples),
        cmocka_unit_test(test_coverage), cmocka_unit_test(test_shares),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
