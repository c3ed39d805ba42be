#include "cost/line.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cost/hash.h"

enum {
    FIELDS_MAX = 17,
    CRC_DIGITS = 8
};

static const char *const units[] = { NULL, "step", "section", "run", "at_once" };
static const char *const maths[] = { "tf32", "float32", "fp16", "bf16" };

uint64_t hsi_cost_device_id(const char *text, size_t length)
{
    char copy[HSI_COST_DEVICE_TEXT];
    if (length >= sizeof copy)
        length = sizeof copy - 1;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return hsi_cost_mix_text(HSI_COST_HASH_INIT, copy);
}

/* Half a byte at a time: a table of 16 instead of one of 256. */
static uint32_t crc32_of(const char *text, size_t length)
{
    static const uint32_t halves[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < length; i++) {
        crc ^= (unsigned char)text[i];
        crc = crc >> 4 ^ halves[crc & 15];
        crc = crc >> 4 ^ halves[crc & 15];
    }
    return ~crc;
}

/* ---- Fields --------------------------------------------------------------- */

typedef struct field {
    const char *text;
    size_t length;
} field;

static int is(const field *f, const char *word)
{
    return f->length == strlen(word) && memcmp(f->text, word, f->length) == 0;
}

static int parse_hex(const field *f, size_t digits, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < f->length; i++) {
        const char c = f->text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return 0;
        *value = *value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return f->length == digits;
}

static int parse_digits(const char *text, size_t length, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        *value = *value * 10 + (uint64_t)(text[i] - '0');
    }
    return length > 0 && length <= 18; /* which is too little to overflow */
}

static int parse_count(const field *f, uint64_t most, uint32_t *value)
{
    uint64_t wide;
    if (!parse_digits(f->text, f->length, &wide) || wide > most)
        return 0;
    *value = (uint32_t)wide;
    return 1;
}

static int parse_amount(const field *f, double *value)
{
    uint64_t wide;
    const int valid = parse_digits(f->text, f->length, &wide);
    *value = (double)wide;
    return valid;
}

/* "-12.345678", whatever the locale. */
static int parse_fixed(const field *f, double *value)
{
    uint64_t whole, decimals;
    const size_t sign = f->length > 0 && f->text[0] == '-';
    if (f->length < sign + 8 || f->text[f->length - 7] != '.' ||
        !parse_digits(f->text + sign, f->length - 7 - sign, &whole) ||
        !parse_digits(f->text + f->length - 6, 6, &decimals))
        return 0;
    *value = ((double)whole + (double)decimals / 1e6) * (sign ? -1 : 1);
    return 1;
}

static void write_fixed(char *text, size_t size, double value)
{
    const uint64_t millionths = (uint64_t)llround(fabs(value) * 1e6);
    snprintf(text, size, "%s%" PRIu64 ".%06u", value < 0 && millionths > 0 ? "-" : "",
             millionths / 1000000, (unsigned)(millionths % 1000000));
}

static int parse_word(const field *f, const char *const *words, int first, int count,
                      int *value)
{
    for (*value = first; *value < count; ++*value)
        if (is(f, words[*value]))
            return 1;
    return 0;
}

/* ---- Lines ---------------------------------------------------------------- */

static int parse_point(const field *f, hsi_cost_point *p)
{
    int unit, math;
    uint32_t observed;
    if (!parse_hex(&f[2], 16, &p->key.model) || !parse_word(&f[3], units, 1, 5, &unit) ||
        !parse_count(&f[4], UINT32_MAX, &p->key.index) ||
        !parse_word(&f[5], maths, 0, 4, &math) ||
        !parse_count(&f[6], HSI_COST_COUNT_MAX, &p->key.batch) ||
        !parse_count(&f[7], HSI_COST_COUNT_MAX, &p->key.workers) ||
        !parse_fixed(&f[8], &p->us) || !parse_fixed(&f[9], &p->spread_us) ||
        !parse_count(&f[10], UINT32_MAX, &p->samples) ||
        !parse_amount(&f[11], &p->work.flops) || !parse_amount(&f[12], &p->work.bytes) ||
        !parse_fixed(&f[13], &p->correction.log) ||
        !parse_count(&f[14], UINT32_MAX, &p->correction.count) ||
        !parse_count(&f[15], 1, &observed))
        return 0;
    p->key.unit = (hsi_cost_unit)unit;
    p->key.math = (hsched_math)math;
    p->observed = (int)observed;
    return p->key.batch > 0 && p->key.workers > 0 && p->us > 0 && p->us < 1e12 &&
           p->spread_us >= 0 && fabs(p->correction.log) <= HSI_COST_LOG_MAX;
}

static int parse_stretch(const field *f, hsi_cost_line *line)
{
    return parse_count(&f[2], HSI_COST_COUNT_MAX, &line->jobs) && line->jobs >= 2 &&
           parse_fixed(&f[3], &line->factor) && line->factor > 0 &&
           line->factor <= HSI_COST_COUNT_MAX;
}

static int parse_watts(const field *f, hsi_cost_line *line)
{
    return parse_fixed(&f[2], &line->watts) && parse_fixed(&f[3], &line->idle_watts) &&
           line->watts > 0 && line->watts <= HSI_COST_WATTS_MAX &&
           line->idle_watts >= 0 && line->idle_watts <= line->watts;
}

static int parse_device(const field *f, hsi_cost_line *line)
{
    line->text = f[2].text;
    line->text_length = f[2].length;
    for (size_t i = 0; i < f[2].length; i++)
        if (f[2].text[i] < ' ' || f[2].text[i] > '~')
            return 0;
    return f[2].length > 0 && f[2].length < HSI_COST_DEVICE_TEXT &&
           hsi_cost_device_id(f[2].text, f[2].length) == line->device;
}

/* The fields, or 0 of them if there are too many. */
static size_t split(const char *text, size_t length, field *fields)
{
    const char *const end = text + length;
    for (size_t count = 0; count < FIELDS_MAX;) {
        const char *tab = memchr(text, '\t', (size_t)(end - text));
        fields[count++] = (field){ text, (size_t)((tab ? tab : end) - text) };
        if (!tab)
            return count;
        text = tab + 1;
    }
    return 0;
}

int hsi_cost_line_parse(const char *text, size_t length, hsi_cost_line *line)
{
    field f[FIELDS_MAX];
    uint64_t crc;
    *line = (hsi_cost_line){ 0 };
    const size_t count = length <= HSI_COST_LINE_LENGTH ? split(text, length, f) : 0;
    if (count < 4 || !parse_hex(&f[count - 1], CRC_DIGITS, &crc) ||
        crc != crc32_of(text, length - CRC_DIGITS) ||
        !parse_hex(&f[1], 16, &line->device))
        return 0;
    if (count == 4 && is(&f[0], "device")) {
        line->kind = HSI_COST_LINE_DEVICE;
        return parse_device(f, line);
    }
    if (count == 17 && is(&f[0], "point")) {
        line->kind = HSI_COST_LINE_POINT;
        return parse_point(f, &line->point);
    }
    if (count == 5 && is(&f[0], "watts")) {
        line->kind = HSI_COST_LINE_WATTS;
        return parse_watts(f, line);
    }
    line->kind = HSI_COST_LINE_STRETCH;
    return count == 5 && is(&f[0], "stretch") && parse_stretch(f, line);
}

static int format_point(char *text, size_t size, const hsi_cost_line *line)
{
    const hsi_cost_point *p = &line->point;
    char us[32], spread[32], correction[32];
    write_fixed(us, sizeof us, p->us < 1e-6 ? 1e-6 : p->us);
    write_fixed(spread, sizeof spread, p->spread_us);
    write_fixed(correction, sizeof correction, p->correction.log);
    return snprintf(
        text, size,
        "point\t%016" PRIx64 "\t%016" PRIx64 "\t%s\t%u\t%s\t%u\t%u\t%s\t%s\t%u"
        "\t%.0f\t%.0f\t%s\t%u\t%d\t",
        line->device, p->key.model, units[p->key.unit], p->key.index, maths[p->key.math],
        p->key.batch, p->key.workers, us, spread, p->samples, p->work.flops,
        p->work.bytes, correction, p->correction.count, p->observed != 0);
}

void hsi_cost_line_write(FILE *file, const hsi_cost_line *line)
{
    char text[HSI_COST_LINE_LENGTH], factor[32], idle[32];
    int length;
    if (line->kind == HSI_COST_LINE_POINT) {
        length = format_point(text, sizeof text, line);
    } else if (line->kind == HSI_COST_LINE_STRETCH) {
        write_fixed(factor, sizeof factor, line->factor);
        length = snprintf(text, sizeof text, "stretch\t%016" PRIx64 "\t%u\t%s\t",
                          line->device, line->jobs, factor);
    } else if (line->kind == HSI_COST_LINE_WATTS) {
        write_fixed(factor, sizeof factor, line->watts < 1e-6 ? 1e-6 : line->watts);
        write_fixed(idle, sizeof idle, line->idle_watts);
        length = snprintf(text, sizeof text, "watts\t%016" PRIx64 "\t%s\t%s\t",
                          line->device, factor, idle);
    } else {
        length = snprintf(text, sizeof text, "device\t%016" PRIx64 "\t%.*s\t",
                          line->device, (int)line->text_length, line->text);
    }
    fprintf(file, "%s%08" PRIx32 "\n", text, crc32_of(text, (size_t)length));
}

/* ---- Order ---------------------------------------------------------------- */

#define COMPARE(a, b)                                                                    \
    if ((a) != (b))                                                                      \
        return (a) < (b) ? -1 : 1;

int hsi_cost_line_compare(const hsi_cost_line *a, const hsi_cost_line *b)
{
    const hsi_cost_key *k = &a->point.key, *l = &b->point.key;
    COMPARE(a->kind, b->kind)
    COMPARE(a->device, b->device)
    COMPARE(k->model, l->model)
    COMPARE(k->unit, l->unit)
    COMPARE(k->index, l->index)
    COMPARE(k->math, l->math)
    COMPARE(k->batch, l->batch)
    COMPARE(k->workers, l->workers)
    COMPARE(a->jobs, b->jobs)
    return 0;
}
