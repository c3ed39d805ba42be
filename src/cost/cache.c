#include "cost/cache.h"

#include <limits.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/status.h"
#include "cost/file.h"
#include "cost/line.h"

#define HEADER    "hsched costs 2"
#define FILE_NAME "costs.txt"

/* ---- Reading -------------------------------------------------------------- */

/* The valid lines of a file, in its order. */
typedef struct lines {
    char *data; /* what lines[].text points into */
    hsi_cost_line *lines;
    size_t count, damaged;
} lines;

static void clear(lines *l)
{
    hsi_free(l->data);
    hsi_free(l->lines);
    *l = (lines){ 0 };
}

/* Takes the next line off *at (its end mark is not part of it); 0 at the end. */
static int next_line(const char **at, const char *end, const char **text, size_t *length)
{
    if (*at >= end)
        return 0;
    const char *mark = memchr(*at, '\n', (size_t)(end - *at));
    *text = *at;
    *length = (size_t)((mark ? mark : end) - *at);
    *at = mark ? mark + 1 : end;
    return 1;
}

static size_t count_lines(const char *at, const char *end)
{
    const char *text;
    size_t length, count = 0;
    while (next_line(&at, end, &text, &length))
        count++;
    return count;
}

/* Fills result->lines, which has room for all. */
static void parse_lines(const char *at, const char *end, lines *result)
{
    const char *text;
    size_t length;
    while (next_line(&at, end, &text, &length)) {
        if (hsi_cost_line_parse(text, length, &result->lines[result->count]))
            result->count++;
        else
            result->damaged++;
    }
}

static hsched_status read_lines(const char *path, lines *result)
{
    size_t size, length;
    const char *text;
    *result = (lines){ 0 };
    hsched_status status = hsi_cost_file_read(path, &result->data, &size);
    const char *at = result->data, *const end = at ? at + size : NULL;
    if (status != HSCHED_OK || size == 0 || !next_line(&at, end, &text, &length))
        return status;
    if (length != strlen(HEADER) || memcmp(text, HEADER, length) != 0) {
        hsi_log(HSCHED_LOG_WARNING, "%s is not of this version's format and is ignored",
                path);
        clear(result);
        return HSCHED_OK;
    }
    result->lines = HSI_NEW_ARRAY(hsi_cost_line, count_lines(at, end) + 1);
    if (!result->lines) {
        clear(result);
        return hsi_out_of_memory("the cost cache");
    }
    parse_lines(at, end, result);
    if (result->damaged > 0)
        hsi_log(HSCHED_LOG_WARNING, "%s: %zu of %zu lines are damaged and are ignored",
                path, result->damaged, result->damaged + result->count);
    return HSCHED_OK;
}

/* ---- Loading -------------------------------------------------------------- */

static int find_device(const hsi_cost_table *table, uint64_t id, uint32_t *device)
{
    for (*device = 0; *device < hsi_cost_table_device_count(table); ++*device) {
        const char *text = hsi_cost_table_device_text(table, *device);
        if (hsi_cost_device_id(text, strlen(text)) == id)
            return 1;
    }
    return 0;
}

static hsched_status load_line(hsi_cost_table *table, const hsi_cost_line *line,
                               hsi_cost_cache_report *report)
{
    uint32_t device;
    hsi_cost_source source;
    if (line->kind == HSI_COST_LINE_DEVICE)
        return HSCHED_OK;
    if (!find_device(table, line->device, &device)) {
        report->foreign++;
        return HSCHED_OK;
    }
    report->loaded++;
    if (line->kind == HSI_COST_LINE_STRETCH) {
        hsi_cost_table_stretch(table, device, line->jobs, &source);
        return source == HSI_COST_MEASURED
                   ? HSCHED_OK
                   : hsi_cost_table_put_stretch(table, device, line->jobs, line->factor,
                                                0);
    }
    if (line->kind == HSI_COST_LINE_WATTS) {
        double watts, idle_watts;
        return hsi_cost_table_watts(table, device, &watts, &idle_watts)
                   ? HSCHED_OK
                   : hsi_cost_table_put_watts(table, device, line->watts,
                                              line->idle_watts, 0);
    }
    hsi_cost_point point = line->point;
    point.key.device = device;
    return hsi_cost_table_get(table, &point.key) ? HSCHED_OK
                                                 : hsi_cost_table_put(table, &point, 0);
}

static hsched_status path_in(const char *folder, char path[PATH_MAX])
{
    if (!hsi_cost_file_folder(folder, path, PATH_MAX - sizeof FILE_NAME - 1))
        return hsi_error(HSCHED_ERROR_NOT_FOUND,
                         "there is no folder for the cost cache; set HSCHED_CACHE_DIR");
    strcat(path, "/" FILE_NAME);
    return HSCHED_OK;
}

hsched_status hsi_cost_cache_load(const char *folder, hsi_cost_table *table,
                                  hsi_cost_cache_report *report)
{
    char path[PATH_MAX];
    lines file;
    *report = (hsi_cost_cache_report){ 0 };
    if (path_in(folder, path) != HSCHED_OK)
        return HSCHED_OK; /* what nobody can have written */
    hsched_status status = read_lines(path, &file);
    if (status == HSCHED_ERROR_FORMAT) {
        hsi_log(HSCHED_LOG_WARNING, "%s is ignored: %s", path, hsched_error_detail());
        return HSCHED_OK;
    }
    report->damaged = file.damaged;
    /* Of two lines about the same the later one counts. */
    for (size_t i = file.count; i-- > 0 && status == HSCHED_OK;)
        status = load_line(table, &file.lines[i], report);
    clear(&file);
    return status;
}

/* ---- Saving --------------------------------------------------------------- */

static int compare_lines(const void *a, const void *b)
{
    return hsi_cost_line_compare(a, b);
}

/* The records as lines, and one for each of their devices; sorted. NULL: no memory. */
static hsi_cost_line *lines_of(const hsi_cost_record *records, size_t count)
{
    hsi_cost_line *made = HSI_NEW_ARRAY(hsi_cost_line, 2 * count + 1);
    for (size_t i = 0; made && i < count; i++) {
        const hsi_cost_record *r = &records[i];
        const uint64_t id = hsi_cost_device_id(r->device, strlen(r->device));
        made[2 * i] = (hsi_cost_line){ .kind = HSI_COST_LINE_DEVICE,
                                       .device = id,
                                       .text = r->device,
                                       .text_length = strlen(r->device) };
        made[2 * i + 1] = (hsi_cost_line){
            .kind = r->point.us > 0 ? HSI_COST_LINE_POINT
                    : r->watts > 0  ? HSI_COST_LINE_WATTS
                                    : HSI_COST_LINE_STRETCH,
            .device = id,
            .jobs = r->jobs,
            .factor = r->factor,
            .watts = r->watts,
            .idle_watts = r->idle_watts,
        };
        if (r->point.us > 0)
            made[2 * i + 1].point = r->point;
    }
    if (made)
        qsort(made, 2 * count, sizeof made[0], compare_lines);
    return made;
}

/* Both lists one after the other; `skip`: so many of each kind are left out first. */
typedef struct merge {
    const lines *file;
    const hsi_cost_line *new;
    size_t new_count;
    size_t skip_devices, skip_others;
    size_t devices, others;
    FILE *out; /* NULL: count only */
} merge;

static void pass_line(merge *m, const hsi_cost_line *line)
{
    const int is_device = line->kind == HSI_COST_LINE_DEVICE;
    const size_t number = is_device ? m->devices++ : m->others++;
    if (m->out && number >= (is_device ? m->skip_devices : m->skip_others))
        hsi_cost_line_write(m->out, line);
}

static void pass_all(merge *m)
{
    m->devices = m->others = 0;
    for (size_t i = 0; i < m->file->count; i++)
        if (!bsearch(&m->file->lines[i], m->new, m->new_count, sizeof m->new[0],
                     compare_lines))
            pass_line(m, &m->file->lines[i]);
    for (size_t i = 0; i < m->new_count; i++)
        if (i == 0 || hsi_cost_line_compare(&m->new[i - 1], &m->new[i]) != 0)
            pass_line(m, &m->new[i]);
}

static void write_merged(FILE *out, void *user)
{
    merge *m = user;
    m->out = NULL;
    pass_all(m);
    m->skip_devices =
        m->devices > HSI_COST_CACHE_DEVICES ? m->devices - HSI_COST_CACHE_DEVICES : 0;
    m->skip_others =
        m->others > HSI_COST_CACHE_LINES ? m->others - HSI_COST_CACHE_LINES : 0;
    m->out = out;
    fprintf(out, "%s\n", HEADER);
    pass_all(m);
}

hsched_status hsi_cost_cache_save(const char *folder, const hsi_cost_record *records,
                                  size_t count)
{
    char path[PATH_MAX];
    lines file = { 0 };
    int lock = -1;
    if (count == 0)
        return HSCHED_OK;
    hsched_status status = path_in(folder, path);
    if (status != HSCHED_OK)
        return status;
    hsi_cost_line *new = lines_of(records, count);
    if (!new)
        return hsi_out_of_memory("the cost cache");
    status = hsi_cost_file_lock(path, &lock);
    if (status == HSCHED_OK)
        status = read_lines(path, &file);
    if (status == HSCHED_ERROR_FORMAT) /* what is no cache is replaced */
        status = HSCHED_OK;
    merge m = { .file = &file, .new = new, .new_count = 2 * count };
    if (status == HSCHED_OK)
        status = hsi_cost_file_replace(path, write_merged, &m);
    if (lock >= 0)
        close(lock);
    clear(&file);
    hsi_free(new);
    return status;
}
