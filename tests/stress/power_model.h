/*
 * What the power cap allows, from its definition: the account of what was drawn above it, by
 * device, with whole watts and microseconds, so that sums are exact.
 */
#ifndef TESTS_STRESS_POWER_MODEL_H
#define TESTS_STRESS_POWER_MODEL_H

#include <stdint.h>

#include "sched/core.h"

typedef struct power_model {
    double cap; /* watts; 0: none */
    uint32_t device_count;
    double watts[HSI_MAX_DEVICES], idle_watts[HSI_MAX_DEVICES];
    int executes[HSI_MAX_DEVICES]; /* kept by the caller, between calls of advance */
    uint64_t now_us;
    double owed_uj;
} power_model;

/* The time goes on with what executes now. */
void power_model_advance(power_model *power, uint64_t now_us);
/* What all devices draw now. */
double power_model_watts(const power_model *power);
/* May a job begin on the device? */
int power_model_allows(const power_model *power, uint32_t device);
/* When, if no event comes; now_us: now. */
uint64_t power_model_until(const power_model *power, uint32_t device);

#endif
