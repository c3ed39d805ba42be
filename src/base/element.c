#include "base/element.h"

int hsi_binary_takes(hsched_binary_kind kind, hsched_dtype dtype)
{
    switch (kind) {
    case HSCHED_BINARY_PRELU:
        return hsi_is_real(dtype);
    case HSCHED_BINARY_ADD:
    case HSCHED_BINARY_SUB:
    case HSCHED_BINARY_MUL:
    case HSCHED_BINARY_DIV:
    case HSCHED_BINARY_MIN:
    case HSCHED_BINARY_MAX:
    case HSCHED_BINARY_POW:
    case HSCHED_BINARY_MOD:
    case HSCHED_BINARY_FMOD:
    case HSCHED_BINARY_GREATER:
    case HSCHED_BINARY_GREATER_OR_EQUAL:
    case HSCHED_BINARY_LESS:
    case HSCHED_BINARY_LESS_OR_EQUAL:
        return hsi_is_real(dtype) || hsi_is_integer(dtype);
    case HSCHED_BINARY_EQUAL:
        return hsi_is_real(dtype) || dtype == HSCHED_BOOL || hsi_is_integer(dtype);
    case HSCHED_BINARY_AND:
    case HSCHED_BINARY_OR:
    case HSCHED_BINARY_XOR:
        return dtype == HSCHED_BOOL;
    case HSCHED_BINARY_BIT_AND:
    case HSCHED_BINARY_BIT_OR:
    case HSCHED_BINARY_BIT_XOR:
    case HSCHED_BINARY_SHIFT_LEFT:
    case HSCHED_BINARY_SHIFT_RIGHT:
        return hsi_is_integer(dtype);
    }
    return 0;
}

int hsi_activation_takes(hsched_activation_kind kind, hsched_dtype dtype)
{
    switch (kind) {
    case HSCHED_ACTIVATION_NONE:
    case HSCHED_ACTIVATION_RELU:
    case HSCHED_ACTIVATION_ABS:
    case HSCHED_ACTIVATION_NEG:
    case HSCHED_ACTIVATION_SIGN:
        return hsi_is_real(dtype) || hsi_is_integer(dtype);
    case HSCHED_ACTIVATION_FAKE_QUANTIZE:
        return dtype == HSCHED_FLOAT32;
    default:
        return hsi_is_real(dtype);
    }
}
