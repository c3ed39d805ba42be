#include "sched/choices.h"

#include <string.h>

#include "base/alloc.h"
#include "base/status.h"

/* What passes to this section, and from it to the user. */
static double crossing_us(const hsi_placement_problem *p, const uint8_t *devices,
                          uint32_t s)
{
    const hsi_placement_section *section = &p->sections[s];
    const uint32_t to = devices[s];
    double us = 0;
    for (uint32_t i = 0; i < section->dep_count; i++) {
        const hsi_placement_link *link = &p->links[devices[section->deps[i]]][to];
        if (devices[section->deps[i]] != to)
            us += link->us + link->us_per_byte * (double)section->dep_bytes[i];
    }
    return us + p->links[0][to].us_per_byte * (double)section->input_bytes +
           p->links[to][0].us_per_byte * (double)section->output_bytes;
}

static void fill_choice(const hsi_placement_problem *p, const uint8_t *devices,
                        hsi_choice *choice, float *rest)
{
    const uint32_t width = p->device_count + 1;
    *choice = (hsi_choice){ .devices = devices, .rest_us = rest };
    for (uint32_t s = p->section_count; s-- > 0;) {
        float *row = rest + (size_t)s * width;
        const uint32_t d = devices[s];
        if (s + 1 < p->section_count)
            memcpy(row, row + width, width * sizeof *row);
        row[d] += (float)p->us[s * p->device_count + d];
        if (s == 0 || devices[s - 1] != d)
            row[d] += (float)p->job_us[d];
        row[p->device_count] += (float)crossing_us(p, devices, s);
        choice->uses |= 1u << d;
    }
}

static float find_least(const hsi_choices *c)
{
    float least = 0;
    for (uint32_t k = 0; k < c->count; k++) {
        float us = 0;
        for (uint32_t d = 0; d <= c->device_count; d++)
            us += c->list[k].rest_us[d];
        least = k == 0 || us < least ? us : least;
    }
    return least;
}

hsched_status hsi_choices_make(const hsi_placement_problem *p, hsi_chosen *chosen)
{
    const size_t times = (size_t)p->section_count * p->device_count;
    const size_t row = (size_t)p->section_count * (p->device_count + 1);
    hsi_choices *c = &chosen->choices;
    hsched_status status = hsi_placement_set_make(p, &chosen->set);
    if (status != HSCHED_OK)
        return status;
    chosen->numbers = HSI_NEW_ARRAY(float, times + row * chosen->set.count);
    if (!chosen->numbers) {
        hsi_choices_clear(chosen);
        return hsi_out_of_memory("a model's choices");
    }
    for (size_t i = 0; i < times; i++)
        chosen->numbers[i] = (float)p->us[i];
    c->section_us = chosen->numbers;
    c->section_count = p->section_count;
    c->device_count = p->device_count;
    for (uint32_t k = 0; k < chosen->set.count; k++)
        fill_choice(p, chosen->set.devices + (size_t)k * p->section_count, &c->list[k],
                    chosen->numbers + times + row * k);
    c->count = chosen->set.count;
    c->least_us = find_least(c);
    return HSCHED_OK;
}

void hsi_choices_clear(hsi_chosen *chosen)
{
    hsi_placement_set_clear(&chosen->set);
    hsi_free(chosen->numbers);
    chosen->numbers = NULL;
    chosen->choices.count = 0;
}
