#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char detail_text[HSI_ERROR_DETAIL_MAX];

HSCHED_API const char *hsched_version(void)
{
    return HSCHED_VERSION_STRING;
}

HSCHED_API const char *hsched_status_name(hsched_status status)
{
    switch (status) {
#define NAME_CASE(name, value, text)                                                     \
    case name:                                                                           \
        return #name;
        HSCHED_STATUS_LIST(NAME_CASE)
#undef NAME_CASE
    default:
        return "HSCHED_ERROR_UNKNOWN";
    }
}

HSCHED_API const char *hsched_status_text(hsched_status status)
{
    switch (status) {
#define TEXT_CASE(name, value, text)                                                     \
    case name:                                                                           \
        return text;
        HSCHED_STATUS_LIST(TEXT_CASE)
#undef TEXT_CASE
    default:
        return "a status that this version does not know";
    }
}

HSCHED_API const char *hsched_error_detail(void)
{
    return detail_text;
}

hsched_status hsi_error(hsched_status status, const char *format, ...)
{
    /* Arguments may point into the present detail, hence the copy. */
    char text[HSI_ERROR_DETAIL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(detail_text, text, sizeof text);
    return status;
}

hsched_status hsi_error_prefix(hsched_status status, const char *format, ...)
{
    char text[HSI_ERROR_DETAIL_MAX];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, "%s", detail_text);
    memcpy(detail_text, text, sizeof text);
    return status;
}

hsched_status hsi_out_of_memory(const char *what)
{
    return hsi_error(HSCHED_ERROR_OUT_OF_MEMORY,
                     "out of memory while making %s; free memory or use smaller models",
                     what);
}

void hsi_error_set_detail(const char *detail)
{
    snprintf(detail_text, sizeof detail_text, "%s", detail);
}

hsched_status hsi_config_read(const void *config, void *out, size_t size,
                              const char *type_name)
{
    size_t given;
    memset(out, 0, size);
    if (!config) {
        memcpy(out, &size, sizeof size);
        return HSCHED_OK;
    }
    memcpy(&given, config, sizeof given);
    if (given < sizeof given || given > 4096)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "%s: struct_size is %zu; start the struct with its ..._INIT macro", type_name,
            given);
    for (size_t i = size; i < given; i++)
        if (((const unsigned char *)config)[i] != 0)
            return hsi_error(
                HSCHED_ERROR_UNSUPPORTED,
                "%s: the caller was compiled for a newer libhsched and uses a "
                "member that version %s does not have; update the library",
                type_name, HSCHED_VERSION_STRING);
    memcpy(out, config, given < size ? given : size);
    memcpy(out, &size, sizeof size);
    return HSCHED_OK;
}

hsched_status hsi_info_write(void *user_struct, const void *filled, size_t size,
                             const char *type_name)
{
    size_t given;
    if (!user_struct)
        return hsi_error(HSCHED_ERROR_INVALID_ARGUMENT, "%s: the pointer is NULL",
                         type_name);
    memcpy(&given, user_struct, sizeof given);
    if (given < sizeof given || given > 4096)
        return hsi_error(
            HSCHED_ERROR_INVALID_ARGUMENT,
            "%s: struct_size is %zu; start the struct with its ..._INIT macro", type_name,
            given);
    /* struct_size stays the caller's; members that only a newer header knows become zero.
     */
    size_t known = given < size ? given : size;
    memcpy((char *)user_struct + sizeof given, (const char *)filled + sizeof given,
           known - sizeof given);
    if (given > size)
        memset((char *)user_struct + size, 0, given - size);
    return HSCHED_OK;
}
