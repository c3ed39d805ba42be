/* Power meters as files: a tree like that of Linux, with what processors and boards have there. */
#include "common/cost_cache.h"

#include "meter/meter.h"

#define RAPL "sys/class/powercap/intel-rapl:"
#define MMIO "sys/class/powercap/intel-rapl-mmio:"
#define INA  "sys/class/hwmon/hwmon"

static void put_rapl(const char *number, const char *name, const char *energy)
{
    char path[100];
    snprintf(path, sizeof path, RAPL "%s/name", number);
    put_file(path, name);
    snprintf(path, sizeof path, RAPL "%s/max_energy_range_uj", number);
    put_file(path, "1000000\n");
    snprintf(path, sizeof path, RAPL "%s/energy_uj", number);
    put_file(path, energy);
}

static void put_rail(const char *chip, int channel, const char *label, const char *volts,
                     const char *amperes)
{
    char path[100];
    snprintf(path, sizeof path, INA "%s/name", chip);
    put_file(path, "ina3221\n");
    snprintf(path, sizeof path, INA "%s/in%d_label", chip, channel);
    put_file(path, label);
    snprintf(path, sizeof path, INA "%s/in%d_input", chip, channel);
    put_file(path, volts);
    snprintf(path, sizeof path, INA "%s/curr%d_input", chip, channel);
    put_file(path, amperes);
}

static void expect(const hsi_meters *meters, uint32_t index, hsi_meter_of of,
                   const char *name)
{
    assert_true(index < meters->count);
    assert_int_equal(meters->list[index].of, of);
    assert_string_equal(meters->list[index].name, name);
}

static void packages_are_found(void **state)
{
    (void)state;
    hsi_meters meters;
    hsi_meter_reading reading;
    put_rapl("0", "package-0\n", "999000\n");
    put_rapl("0:0", "core\n", "5\n");
    put_rapl("0:1", "dram\n", "5\n");
    put_rapl("1", "package-1\n", "7\n");
    put_rapl("2", "psys\n", "7\n");
    put_file(MMIO "0/name", "package-0\n"); /* the first one again */
    put_file(MMIO "0/max_energy_range_uj", "1000000\n");
    put_file(MMIO "0/energy_uj", "999000\n");
    hsi_meters_find(folder, &meters);
    assert_int_equal(meters.count, 2);
    expect(&meters, 0, HSI_METER_OF_CPU, "RAPL package-0");
    expect(&meters, 1, HSI_METER_OF_CPU, "RAPL package-1");
    assert_int_equal(hsi_meter_read(&meters.list[0], &reading), 1);
    assert_true(reading.has_energy && !reading.has_watts && reading.energy_uj == 999000);
    put_rapl("0", "package-0\n", "2500\n"); /* it has begun again at 0 */
    const uint64_t before = reading.energy_uj;
    assert_int_equal(hsi_meter_read(&meters.list[0], &reading), 1);
    assert_int_equal(hsi_meter_gained_uj(&meters.list[0], before, reading.energy_uj),
                     3500);
    assert_int_equal(hsi_meter_gained_uj(&meters.list[0], 3, 10), 7);
}

/* A board of the class of Jetson AGX Orin, and one of Orin Nano's. */
static void rails_are_found(void **state)
{
    (void)state;
    hsi_meters meters;
    hsi_meter_reading reading;
    put_file(INA "0/name", "acpitz\n");
    put_rail("1", 1, "VDD_GPU_SOC\n", "19800\n", "250\n");
    put_rail("1", 2, "VDD_CPU_CV\n", "19800\n", "100\n");
    put_rail("1", 3, "VIN_SYS_5V0\n", "4900\n", "1000\n");
    put_rail("2", 1, "VDD_IN\n", "5000\n", "800\n");
    hsi_meters_find(folder, &meters);
    assert_int_equal(meters.count, 4);
    expect(&meters, 0, HSI_METER_OF_GPU, "rail VDD_GPU_SOC");
    expect(&meters, 1, HSI_METER_OF_CPU, "rail VDD_CPU_CV");
    expect(&meters, 2, HSI_METER_OF_OTHER, "rail VIN_SYS_5V0");
    expect(&meters, 3, HSI_METER_OF_BOARD, "rail VDD_IN");
    assert_int_equal(hsi_meter_read(&meters.list[0], &reading), 1);
    assert_true(reading.has_watts && !reading.has_energy && reading.watts == 4.95);
}

/* Nothing that cannot be read is a meter: the kernel shows RAPL's counters to root only. */
static void what_is_no_meter_is_none(void **state)
{
    (void)state;
    hsi_meters meters;
    hsi_meter_reading reading;
    hsi_meters_find(folder, &meters);
    assert_int_equal(meters.count, 0);
    put_rapl("0", "package-0\n", "many\n");
    put_rapl("1", "package-1\n", "");
    put_rapl("2", "package-2\n", "-5\n");
    put_rail("1", 1, "VDD_CPU\n", "5000\n", "?\n");
    put_file(INA "2/name", "");
    put_file(INA "3/other", "ina3221");
    hsi_meters_find(folder, &meters);
    assert_int_equal(meters.count, 0);
    put_rapl("1", "package-1\n", "12\n");
    hsi_meters_find(folder, &meters);
    assert_int_equal(meters.count, 1);
    assert_int_equal(unlink(meters.list[0].energy), 0);
    assert_int_equal(hsi_meter_read(&meters.list[0], &reading), 0);
    assert_true(!reading.has_energy && !reading.has_watts);
}

static void there_are_at_most_so_many(void **state)
{
    (void)state;
    hsi_meters meters;
    char number[12], name[24];
    for (int i = 0; i < HSI_METERS_MAX + 5; i++) {
        snprintf(number, sizeof number, "%d", i);
        snprintf(name, sizeof name, "package-%d", i);
        put_rapl(number, name, "1");
    }
    hsi_meters_find(folder, &meters);
    assert_int_equal(meters.count, HSI_METERS_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(packages_are_found),
        TEST(rails_are_found),
        TEST(what_is_no_meter_is_none),
        TEST(there_are_at_most_so_many),
    };
    return cmocka_run_group_tests_name("meters", tests, NULL, NULL);
}
