/* Reading a platform file: lines, sections, and what must hold of the whole. */
#include "simulator/platform.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/status.h"
#include "simulator/platform_keys.h"

enum {
    MAX_FILE = 1 << 20
};

typedef enum section_kind {
    SECTION_TOP, /* before the first [...] */
    SECTION_DEVICE,
    SECTION_LINK
} section_kind;

typedef struct parser {
    hsi_platform *platform;
    uint32_t line;
    section_kind section;
    uint32_t section_line;
    uint32_t line_of[HSI_KEYS_MAX]; /* of the section's keys; 0: it is not there */
    int costs_given;
    uint32_t from, to; /* of a link */
    hsi_platform_link_text link;
    /* [from][to]: the line of the link that says it; `reversed`: by the other direction's. */
    uint32_t link_line[HSI_PLACEMENT_DEVICES][HSI_PLACEMENT_DEVICES];
    uint8_t reversed[HSI_PLACEMENT_DEVICES][HSI_PLACEMENT_DEVICES];
} parser;

#define WRONG(p, at, ...) wrong((p), (at), hsi_error(HSCHED_ERROR_FORMAT, __VA_ARGS__))

static hsched_status wrong(const parser *p, uint32_t line, hsched_status status)
{
    return hsi_error_prefix(status, "%.300s:%u: ", p->platform->path, line);
}

const char *hsi_platform_kind_name(hsi_platform_kind kind)
{
    static const char *const names[] = { "", "cpu", "gpu", "dla", "sim" };
    return names[kind];
}

uint32_t hsi_platform_find_device(const hsi_platform *platform, const char *name)
{
    for (uint32_t d = 0; d < platform->device_count; d++)
        if (strcmp(platform->devices[d].name, name) == 0)
            return d;
    return UINT32_MAX;
}

/* ---- Devices -------------------------------------------------------------- */

static hsched_status begin_device(parser *p, const char *name)
{
    hsi_platform *platform = p->platform;
    if (name[0] == '\0' || strlen(name) >= HSI_PLATFORM_NAME ||
        name[strcspn(name, " \t[]")] != '\0')
        return WRONG(p, p->line,
                     "[device %s]: a device needs a name of one word and at most %d "
                     "characters, as in [device gpu]",
                     name, HSI_PLATFORM_NAME - 1);
    if (hsi_platform_find_device(platform, name) != UINT32_MAX)
        return WRONG(p, p->line,
                     "there is a [device %s] already; give this one another name", name);
    if (platform->device_count == HSI_PLACEMENT_DEVICES)
        return WRONG(p, p->line, "at most %d devices; leave this one out",
                     HSI_PLACEMENT_DEVICES);
    hsi_platform_device *device = &platform->devices[platform->device_count++];
    *device = (hsi_platform_device){ .workers = 1,
                                     .sections_per_job = UINT32_MAX,
                                     .max_batch = 1,
                                     .parallel = 1,
                                     .classes = ~UINT32_C(0) };
    memcpy(device->name, name, strlen(name) + 1);
    for (uint32_t i = 0; i < HSI_PLATFORM_CLASSES; i++)
        device->efficiency[i] = 1;
    p->section = SECTION_DEVICE;
    return HSCHED_OK;
}

static uint32_t line_of(const parser *p, const char *key)
{
    return p->line_of[hsi_platform_find_key(key, 0) - hsi_platform_keys];
}

/* Which keys this device must have, and may have. */
static hsched_status check_keys(const parser *p, const hsi_platform_device *device)
{
    const int is_cpu = device->kind == HSI_PLATFORM_CPU;
    const int measured = p->platform->measured;
    for (uint32_t i = 0; i < hsi_platform_key_count; i++) {
        const hsi_platform_key *key = &hsi_platform_keys[i];
        if (p->line_of[i] == 0)
            continue;
        if (!(key->where & (is_cpu ? HSI_KEY_CPU : HSI_KEY_ACCELERATOR)))
            return WRONG(p, p->line_of[i],
                         "'%s' is not for a device of kind %s; remove it", key->name,
                         hsi_platform_kind_name(device->kind));
        if (measured && (key->where & HSI_KEY_RATES))
            return WRONG(p, p->line_of[i],
                         "'%s' is not used where costs are measured; remove it, or write "
                         "'costs = rates' at the top",
                         key->name);
    }
    static const char *const needed[] = { "gflops", "gb_per_s" };
    for (int i = 0; i < 2 && !measured; i++)
        if (line_of(p, needed[i]) == 0)
            return WRONG(p, p->section_line,
                         "[device %s] has no '%s'; add the line '%s = %s'", device->name,
                         needed[i], needed[i],
                         hsi_platform_find_key(needed[i], 0)->expected);
    if (device->idle_watts > device->watts)
        return WRONG(p, line_of(p, "idle_watts"),
                     "[device %s] draws more when it idles than when it works; write "
                     "'watts = %g' or more, or less idle_watts",
                     device->name, device->idle_watts);
    if (!measured && device->max_batch > 1 && device->batch.count == 0)
        return WRONG(p, line_of(p, "max_batch"),
                     "[device %s] joins runs and does not say what that costs; add "
                     "'batch = %s'",
                     device->name, hsi_platform_find_key("batch", 0)->expected);
    return HSCHED_OK;
}

/* As a runtime has them by default. */
static uint32_t workers_here(hsi_platform_kind kind)
{
    cpu_set_t set;
    if (kind != HSI_PLATFORM_CPU)
        return 8;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

static hsched_status end_device(parser *p)
{
    hsi_platform *platform = p->platform;
    hsi_platform_device *device = &platform->devices[platform->device_count - 1];
    if (device->kind == 0)
        return WRONG(p, p->section_line, "[device %s] has no 'kind'; add 'kind = %s'",
                     device->name, hsi_platform_find_key("kind", 0)->expected);
    if ((device->kind == HSI_PLATFORM_CPU) != (platform->device_count == 1))
        return WRONG(p, p->section_line,
                     "the first device, and no other, must be of kind cpu; %s",
                     platform->device_count == 1 ? "put the CPU's section first"
                                                 : "leave one of them out");
    hsched_status status = check_keys(p, device);
    if (platform->measured && line_of(p, "workers") == 0)
        device->workers = workers_here(device->kind);
    if (line_of(p, "team") == 0)
        device->team = device->workers;
    if (line_of(p, "efficiency.depthwise") == 0)
        device->efficiency[HSI_PLATFORM_DEPTHWISE] = device->efficiency[0];
    return status;
}

/* ---- Links ---------------------------------------------------------------- */

static hsched_status begin_link(parser *p, char *names)
{
    uint32_t ends[2];
    char *rest = names;
    for (int i = 0; i < 2; i++) {
        rest += strspn(rest, " \t");
        char *name = rest;
        rest += strcspn(rest, " \t");
        if (*rest)
            *rest++ = '\0';
        ends[i] = hsi_platform_find_device(p->platform, name);
        if (ends[i] == UINT32_MAX)
            return WRONG(
                p, p->line,
                "[link ...]: '%s' is not a device; write [link FROM TO] with the "
                "names of two devices described above",
                name);
    }
    if (rest[strspn(rest, " \t")] != '\0' || ends[0] == ends[1])
        return WRONG(p, p->line,
                     "[link ...]: write [link FROM TO] with the names of two "
                     "different devices");
    p->from = ends[0];
    p->to = ends[1];
    if (p->link_line[p->from][p->to] && !p->reversed[p->from][p->to])
        return WRONG(p, p->line, "this link is described in line %u already; remove one",
                     p->link_line[p->from][p->to]);
    p->link = (hsi_platform_link_text){ 0 };
    p->section = SECTION_LINK;
    return HSCHED_OK;
}

static hsched_status end_link(parser *p)
{
    const hsi_platform_key *us = hsi_platform_find_key("us", 1);
    if (p->line_of[us - hsi_platform_keys] == 0)
        return WRONG(p, p->section_line, "this link has no 'us'; add 'us = %s'",
                     us->expected);
    const hsi_placement_link link = {
        .us = p->link.us,
        .us_per_byte = p->link.gb_per_s > 0 ? 1 / (1000 * p->link.gb_per_s) : 0,
    };
    p->platform->links[p->from][p->to] = link;
    p->link_line[p->from][p->to] = p->section_line;
    p->reversed[p->from][p->to] = 0;
    if (p->link_line[p->to][p->from] ==
        0) { /* both ways, unless the other is described */
        p->platform->links[p->to][p->from] = link;
        p->link_line[p->to][p->from] = p->section_line;
        p->reversed[p->to][p->from] = 1;
    }
    return HSCHED_OK;
}

/* ---- Lines ---------------------------------------------------------------- */

static hsched_status end_section(parser *p)
{
    if (p->section == SECTION_DEVICE)
        return end_device(p);
    return p->section == SECTION_LINK ? end_link(p) : HSCHED_OK;
}

static hsched_status begin_section(parser *p, char *line)
{
    char *end = strchr(line, ']');
    hsched_status status = end_section(p);
    if (status != HSCHED_OK)
        return status;
    if (!end || end[1] != '\0')
        return WRONG(
            p, p->line,
            "'%.80s' is not a section; write [device NAME] or [link FROM TO] alone "
            "on its line",
            line);
    *end = '\0';
    memset(p->line_of, 0, sizeof p->line_of);
    p->section_line = p->line;
    if (strncmp(line, "[device ", 8) == 0)
        return begin_device(p, line + 8 + strspn(line + 8, " \t"));
    if (strncmp(line, "[link ", 6) == 0)
        return begin_link(p, line + 6);
    return WRONG(
        p, p->line,
        "'%.80s]' is not a section of platform files; write [device NAME] or [link "
        "FROM TO]",
        line);
}

static hsched_status set_text(const parser *p, const char *key, const char *value,
                              char **text)
{
    if (*text)
        return WRONG(p, p->line, "'%s' is given twice; remove one", key);
    *text = hsi_strdup(value);
    return *text ? HSCHED_OK : hsi_out_of_memory("a platform");
}

static int is_top_key(const char *key)
{
    return strcmp(key, "name") == 0 || strcmp(key, "description") == 0 ||
           strcmp(key, "costs") == 0;
}

static hsched_status set_top(parser *p, const char *key, const char *value)
{
    if (strcmp(key, "name") == 0)
        return set_text(p, key, value, &p->platform->name);
    if (strcmp(key, "description") == 0)
        return set_text(p, key, value, &p->platform->description);
    if (strcmp(key, "costs") != 0)
        return WRONG(p, p->line,
                     "'%.80s' is not known before the first section; known are name, "
                     "description and costs",
                     key);
    if (p->costs_given++)
        return WRONG(p, p->line, "'costs' is given twice; remove one");
    p->platform->measured = strcmp(value, "measured") == 0;
    if (!p->platform->measured && strcmp(value, "rates") != 0)
        return WRONG(p, p->line, "costs = '%.80s': write rates or measured", value);
    return HSCHED_OK;
}

static hsched_status set_key(parser *p, const char *name, const char *value)
{
    const int of_link = p->section == SECTION_LINK;
    if (is_top_key(name))
        return WRONG(p, p->line,
                     "'%s' is of the platform; put it before the first section", name);
    const hsi_platform_key *key = hsi_platform_find_key(name, of_link);
    if (!key)
        return WRONG(
            p, p->line,
            "'%.80s' is not a key of %s; docs/design/simulator.md lists those that "
            "are",
            name, of_link ? "links" : "devices");
    uint32_t *line = &p->line_of[key - hsi_platform_keys];
    if (*line > 0)
        return WRONG(p, p->line, "'%s' stands in line %u already; remove one", name,
                     *line);
    *line = p->line;
    hsi_platform *platform = p->platform;
    char *target = of_link ? (char *)&p->link
                           : (char *)&platform->devices[platform->device_count - 1];
    if (!key->parse(key, value, target + key->offset))
        return WRONG(p, p->line, "%s = '%.80s': write %s", name, value, key->expected);
    return HSCHED_OK;
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r", text[length - 1]))
        text[--length] = '\0';
    return text;
}

static hsched_status parse_line(parser *p, char *line)
{
    line[strcspn(line, "#")] = '\0';
    line = trim(line);
    if (*line == '\0')
        return HSCHED_OK;
    if (*line == '[')
        return begin_section(p, line);
    char *equals = strchr(line, '=');
    if (!equals)
        return WRONG(p, p->line,
                     "'%.80s' is neither KEY = VALUE nor [SECTION]; comments begin "
                     "with #",
                     line);
    *equals = '\0';
    const char *key = trim(line), *value = trim(equals + 1);
    if (*value == '\0')
        return WRONG(p, p->line, "'%.80s' has no value; write one behind the =", key);
    return p->section == SECTION_TOP ? set_top(p, key, value) : set_key(p, key, value);
}

/* ---- The whole ------------------------------------------------------------ */

static hsched_status check_whole(const parser *p)
{
    const hsi_platform *platform = p->platform;
    if (platform->device_count == 0)
        return WRONG(p, p->line,
                     "there is no device; add a section [device cpu] with kind = cpu");
    if (!platform->name)
        return WRONG(p, 1,
                     "the platform has no name; add a line 'name = ...' at the top");
    for (uint32_t a = 0; a < platform->device_count; a++)
        for (uint32_t b = 0; b < platform->device_count; b++)
            if (a != b && p->link_line[a][b] == 0)
                return WRONG(p, p->line,
                             "nothing says what passes from %s to %s costs; add a "
                             "section [link %s %s]",
                             platform->devices[a].name, platform->devices[b].name,
                             platform->devices[a].name, platform->devices[b].name);
    return HSCHED_OK;
}

static hsched_status parse_lines(parser *p, char *text)
{
    hsched_status status = HSCHED_OK;
    while (text && status == HSCHED_OK) {
        char *next = strchr(text, '\n');
        if (next)
            *next++ = '\0';
        p->line++;
        status = parse_line(p, text);
        text = next && *next ? next : NULL;
    }
    if (status == HSCHED_OK)
        status = end_section(p);
    return status == HSCHED_OK ? check_whole(p) : status;
}

hsched_status hsi_platform_parse(const char *path, const char *text, size_t size,
                                 hsi_platform **platform)
{
    *platform = NULL;
    parser p = { .platform = HSI_NEW(hsi_platform) };
    char *copy = hsi_strndup(text, size);
    hsched_status status = HSCHED_OK;
    if (p.platform)
        p.platform->path = hsi_strdup(path);
    if (!p.platform || !copy || !p.platform->path)
        status = hsi_out_of_memory("a platform");
    else if (strlen(copy) != size)
        status = hsi_error(HSCHED_ERROR_FORMAT,
                           "%.300s: byte %zu is 0, so this is no text; give a platform "
                           "file, such as those in examples/platforms",
                           path, strlen(copy));
    else
        status = parse_lines(&p, copy);
    hsi_free(copy);
    if (status != HSCHED_OK) {
        hsi_platform_destroy(p.platform);
        return status;
    }
    *platform = p.platform;
    return HSCHED_OK;
}

hsched_status hsi_platform_load(const char *path, hsi_platform **platform)
{
    *platform = NULL;
    FILE *file = fopen(path, "rbe");
    char *text = file ? hsi_calloc(1, MAX_FILE + 1) : NULL;
    hsched_status status = HSCHED_OK;
    if (file && !text)
        status = hsi_out_of_memory("a platform file");
    const size_t size = text ? fread(text, 1, MAX_FILE + 1, file) : 0;
    if (!file || ferror(file))
        status =
            hsi_error(HSCHED_ERROR_IO,
                      "the platform file '%.300s' cannot be read: %s; some come with "
                      "the library, in examples/platforms",
                      path, strerror(errno));
    else if (size > MAX_FILE)
        status = hsi_error(HSCHED_ERROR_FORMAT,
                           "%.300s has more than %d bytes; give a platform file, such as "
                           "those in examples/platforms",
                           path, MAX_FILE);
    if (status == HSCHED_OK)
        status = hsi_platform_parse(path, text, size, platform);
    if (file)
        fclose(file);
    hsi_free(text);
    return status;
}

void hsi_platform_destroy(hsi_platform *platform)
{
    if (!platform)
        return;
    hsi_free(platform->path);
    hsi_free(platform->name);
    hsi_free(platform->description);
    hsi_free(platform);
}
