/* The GPU's meter by NVIDIA's management library, of which the test has one of its own. */
#include "common/support.h"

#include "backend/cuda/nvml.h"

static int inits; /* less shutdowns */
static int init_result, find_result, power_result, energy_result, use_result;
static unsigned milliwatts, percent;
static unsigned long long millijoules;
static char found_at[32];
static int gpu;

static int fake_init(void)
{
    inits += init_result == 0;
    return init_result;
}

static int fake_shutdown(void)
{
    inits--;
    return 0;
}

static int fake_find(const char *bus_id, void **handle)
{
    snprintf(found_at, sizeof found_at, "%s", bus_id);
    *handle = &gpu;
    return find_result;
}

static int fake_power(void *handle, unsigned *value)
{
    assert_ptr_equal(handle, &gpu);
    *value = milliwatts;
    return power_result;
}

static int fake_energy(void *handle, unsigned long long *value)
{
    assert_ptr_equal(handle, &gpu);
    *value = millijoules;
    return energy_result;
}

static int fake_use(void *handle, hsi_nvml_use *use)
{
    assert_ptr_equal(handle, &gpu);
    *use = (hsi_nvml_use){ percent, 1 };
    return use_result;
}

static const hsi_nvml_table fake = { fake_init,  fake_shutdown, fake_find,
                                     fake_power, fake_energy,   fake_use };

static int set_up(void **state)
{
    (void)state;
    inits = init_result = find_result = power_result = energy_result = use_result = 0;
    milliwatts = 71500;
    millijoules = 123456;
    percent = 60;
    return 0;
}

static void all_is_read(void **state)
{
    (void)state;
    hsi_nvml nvml;
    hsched_meters meters = { .struct_size = sizeof meters };
    assert_int_equal(hsi_nvml_open(&nvml, &fake, "0000:01:00.0"), 1);
    assert_string_equal(found_at, "0000:01:00.0");
    hsi_nvml_read(&nvml, &meters);
    assert_int_equal(meters.known,
                     HSCHED_METERS_WATTS | HSCHED_METERS_JOULES | HSCHED_METERS_USE);
    assert_true(meters.watts == 71.5 && meters.joules == 123.456 && meters.use == 0.6);
    assert_string_equal(meters.name, "NVML");
    assert_int_equal(inits, 1);
    hsi_nvml_close(&nvml);
    assert_int_equal(inits, 0);
    hsi_nvml_close(&nvml);
    assert_int_equal(inits, 0);
}

static void what_is_not_supported_is_left_out(void **state)
{
    (void)state;
    hsi_nvml nvml;
    hsched_meters meters = { .struct_size = sizeof meters };
    assert_int_equal(hsi_nvml_open(&nvml, &fake, "0000:01:00.0"), 1);
    use_result = 3; /* NVML_ERROR_NOT_SUPPORTED */
    hsi_nvml_read(&nvml, &meters);
    assert_int_equal(meters.known, HSCHED_METERS_WATTS | HSCHED_METERS_JOULES);
    energy_result = power_result = 15; /* NVML_ERROR_GPU_IS_LOST */
    hsi_nvml_read(&nvml, &meters);
    assert_int_equal(meters.known, 0);
    use_result = 0;
    percent = 4000000000u;
    hsi_nvml_read(&nvml, &meters);
    assert_true(meters.known == HSCHED_METERS_USE && meters.use == 1);
    hsi_nvml_close(&nvml);
}

static void without_a_meter_nothing_is_known(void **state)
{
    (void)state;
    hsi_nvml nvml;
    hsched_meters meters = { .struct_size = sizeof meters, .known = 7 };
    assert_int_equal(hsi_nvml_open(&nvml, NULL, "0000:01:00.0"), 0);
    hsi_nvml_read(&nvml, &meters);
    assert_int_equal(meters.known, 0);
    init_result = 9; /* NVML_ERROR_DRIVER_NOT_LOADED */
    assert_int_equal(hsi_nvml_open(&nvml, &fake, "0000:01:00.0"), 0);
    init_result = 0;
    find_result = 6; /* NVML_ERROR_NOT_FOUND */
    assert_int_equal(hsi_nvml_open(&nvml, &fake, "0000:01:00.0"), 0);
    assert_int_equal(inits, 0); /* what was begun is given back */
    hsi_nvml_close(&nvml);
    assert_int_equal(inits, 0);
}

/* With or without a driver: it says which. */
static void the_library_is_there_or_is_not(void **state)
{
    (void)state;
    const char *why, *again;
    const hsi_nvml_table *table = hsi_nvml_load(&why);
    assert_ptr_equal(hsi_nvml_load(&again), table);
    assert_true((table != NULL) == (why[0] == '\0'));
    assert_true(!table || (table->init && table->use));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_is_read, set_up),
        cmocka_unit_test_setup(what_is_not_supported_is_left_out, set_up),
        cmocka_unit_test_setup(without_a_meter_nothing_is_known, set_up),
        cmocka_unit_test_setup(the_library_is_there_or_is_not, set_up),
    };
    return cmocka_run_group_tests_name("NVML", tests, NULL, NULL);
}
