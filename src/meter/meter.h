/*
 * Power meters that Linux shows as files: RAPL of x86 processors (/sys/class/powercap), and the
 * INA3221 of boards such as NVIDIA's Jetsons, which watches single rails (/sys/class/hwmon).
 *
 * Found once; reading takes a system call or two for each file, and no heap. Any thread may read.
 */
#ifndef HSI_METER_METER_H
#define HSI_METER_METER_H

#include <stdint.h>

enum {
    HSI_METERS_MAX = 32,
    HSI_METER_NAME = 40,
    HSI_METER_PATH = 256
};

typedef enum hsi_meter_of {
    HSI_METER_OF_CPU = 1,
    HSI_METER_OF_GPU,
    HSI_METER_OF_BOARD, /* all of it: its input */
    HSI_METER_OF_OTHER  /* memory, cameras, what has no name */
} hsi_meter_of;

typedef struct hsi_meter {
    hsi_meter_of of;
    char name[HSI_METER_NAME]; /* "RAPL package-0", "rail VDD_CPU_CV" */
    /* RAPL: a counter of microjoules that starts again at 0 after range_uj. Rails: millivolts, and
     * milliamperes. */
    char energy[HSI_METER_PATH], volts[HSI_METER_PATH], amperes[HSI_METER_PATH];
    uint64_t range_uj;
} hsi_meter;

typedef struct hsi_meters {
    uint32_t count;
    hsi_meter list[HSI_METERS_MAX];
} hsi_meters;

/* Those that can be read by this process, in the order of their names in the file system. `root`:
 * in whose sys/ they are looked for; "" is the real one. */
void hsi_meters_find(const char *root, hsi_meters *meters);

typedef struct hsi_meter_reading {
    int has_watts, has_energy;
    double watts;       /* now; rails */
    uint64_t energy_uj; /* RAPL: the counter */
} hsi_meter_reading;

/* 0: it could not be read, or what is there is no number. */
int hsi_meter_read(const hsi_meter *meter, hsi_meter_reading *reading);

/* What a counter has gained between two readings that are less than a turn apart. */
uint64_t hsi_meter_gained_uj(const hsi_meter *meter, uint64_t before, uint64_t after);

#endif
