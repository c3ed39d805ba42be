#include "trace/json.h"

/* The length of the UTF-8 sequence that begins here; 0: it is none (too long a form, a surrogate,
 * or beyond U+10FFFF). The end of the text is no continuation byte. */
static int sequence_length(const unsigned char *s)
{
    static const struct {
        unsigned char first, last, second_least, second_most;
        int length;
    } forms[] = {
        { 0x20, 0x7f, 0, 0, 1 },       { 0xc2, 0xdf, 0x80, 0xbf, 2 },
        { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
        { 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 },
        { 0xf0, 0xf0, 0x90, 0xbf, 4 }, { 0xf1, 0xf3, 0x80, 0xbf, 4 },
        { 0xf4, 0xf4, 0x80, 0x8f, 4 },
    };
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last)
            continue;
        if (forms[i].length == 1)
            return 1;
        if (s[1] < forms[i].second_least || s[1] > forms[i].second_most)
            return 0;
        for (int k = 2; k < forms[i].length; k++)
            if ((s[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

void hsi_json_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        const int length = sequence_length(s);
        if (*s == '"' || *s == '\\') {
            fputc('\\', file);
            fputc(*s++, file);
        } else if (*s < 0x20) {
            fprintf(file, "\\u%04x", (unsigned)*s++);
        } else if (length == 0) {
            fputs("\\ufffd", file);
            s++;
        } else {
            fwrite(s, 1, (size_t)length, file);
            s += length;
        }
    }
    fputc('"', file);
}

void hsi_json_us(FILE *file, uint64_t ns)
{
    fprintf(file, "%llu.%03u", (unsigned long long)(ns / 1000), (unsigned)(ns % 1000));
}
