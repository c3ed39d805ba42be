/* The files: Documentation/power/powercap/powercap.rst, Documentation/hwmon/ina3221.rst of Linux.
 */
#include "meter/meter.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CHANNELS = 3, /* of an INA3221 */
    TEXT_MAX = 64
};

/* The first line of a file, without its end mark. */
static int read_text(const char *path, char text[TEXT_MAX])
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    const ssize_t length = read(file, text, TEXT_MAX - 1);
    close(file);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return 1;
}

static int read_number(const char *path, uint64_t *number)
{
    char text[TEXT_MAX], *end;
    if (!read_text(path, text) || text[0] < '0' || text[0] > '9')
        return 0;
    *number = strtoull(text, &end, 10);
    return *end == '\0';
}

/* 0: the path is too long for what a meter holds. */
static int join(char path[HSI_METER_PATH], const char *folder, const char *name)
{
    const int length = snprintf(path, HSI_METER_PATH, "%s/%s", folder, name);
    return length > 0 && length < HSI_METER_PATH;
}

/* ---- Finding them --------------------------------------------------------- */

static void add(hsi_meters *meters, const hsi_meter *meter)
{
    hsi_meter_reading reading;
    if (meters->count < HSI_METERS_MAX && hsi_meter_read(meter, &reading))
        meters->list[meters->count++] = *meter;
}

/* A package is a processor with its caches; what is inside it (core, uncore) is in it, and dram is
 * beside it. Many notebooks show their packages once more, by another way to the same counters
 * (intel-rapl-mmio): what is drawn would count twice. */
static void try_rapl(const char *folder, hsi_meters *meters)
{
    hsi_meter meter = { .of = HSI_METER_OF_CPU };
    char path[HSI_METER_PATH], name[TEXT_MAX];
    if (strstr(folder, "/intel-rapl-mmio") || !join(path, folder, "name") ||
        !read_text(path, name) || strncmp(name, "package", 7) != 0 ||
        !join(meter.energy, folder, "energy_uj") ||
        !join(path, folder, "max_energy_range_uj") || !read_number(path, &meter.range_uj))
        return;
    snprintf(meter.name, sizeof meter.name, "RAPL %.*s", HSI_METER_NAME - 6, name);
    add(meters, &meter);
}

/* By what boards call their rails: VDD_GPU_SOC, VDD_CPU_CV, CPU, GPU; VDD_IN and VIN_SYS_... are
 * inputs of the whole board, or of what is not the module. */
static hsi_meter_of rail_of(const char *label)
{
    if (strstr(label, "GPU"))
        return HSI_METER_OF_GPU;
    if (strstr(label, "CPU"))
        return HSI_METER_OF_CPU;
    return strcmp(label, "VDD_IN") == 0 ? HSI_METER_OF_BOARD : HSI_METER_OF_OTHER;
}

static void try_ina3221(const char *folder, hsi_meters *meters)
{
    char path[HSI_METER_PATH], name[TEXT_MAX], file[32];
    if (!join(path, folder, "name") || !read_text(path, name) ||
        strcmp(name, "ina3221") != 0)
        return;
    for (int k = 1; k <= CHANNELS; k++) {
        hsi_meter meter = { 0 };
        char label[TEXT_MAX];
        snprintf(file, sizeof file, "in%d_label", k);
        if (!join(path, folder, file) || !read_text(path, label))
            continue;
        meter.of = rail_of(label);
        snprintf(meter.name, sizeof meter.name, "rail %.*s", HSI_METER_NAME - 6, label);
        snprintf(file, sizeof file, "in%d_input", k);
        int fits = join(meter.volts, folder, file);
        snprintf(file, sizeof file, "curr%d_input", k);
        fits = fits && join(meter.amperes, folder, file);
        if (fits)
            add(meters, &meter);
    }
}

static void scan(const char *root, const char *below,
                 void (*try_folder)(const char *folder, hsi_meters *meters),
                 hsi_meters *meters)
{
    char folder[HSI_METER_PATH], entry[HSI_METER_PATH];
    struct dirent **names;
    if (!join(folder, root, below))
        return;
    const int count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.' && join(entry, folder, names[i]->d_name))
            try_folder(entry, meters);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
}

void hsi_meters_find(const char *root, hsi_meters *meters)
{
    meters->count = 0;
    scan(root, "sys/class/powercap", try_rapl, meters);
    scan(root, "sys/class/hwmon", try_ina3221, meters);
}

/* ---- Reading them --------------------------------------------------------- */

int hsi_meter_read(const hsi_meter *meter, hsi_meter_reading *reading)
{
    uint64_t millivolts, milliamperes;
    *reading = (hsi_meter_reading){ 0 };
    if (meter->energy[0])
        return reading->has_energy = read_number(meter->energy, &reading->energy_uj);
    if (!read_number(meter->volts, &millivolts) ||
        !read_number(meter->amperes, &milliamperes))
        return 0;
    reading->watts = (double)millivolts * (double)milliamperes / 1e6;
    return reading->has_watts = 1;
}

uint64_t hsi_meter_gained_uj(const hsi_meter *meter, uint64_t before, uint64_t after)
{
    return after >= before ? after - before : meter->range_uj - before + after;
}
