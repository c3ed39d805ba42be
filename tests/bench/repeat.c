/*
 * Calls one after the other, with nothing of Python in between: what repeat.py loads. Of a network
 * that takes 2 us, Python's way into a C function is a third of the time.
 */
#include <stdint.h>

#include <hsched/hsched.h>

#pragma GCC visibility push(default)
int repeat_infer(uint64_t count, hsched_model *model, const hsched_binding *inputs,
                 uint32_t input_count, const hsched_binding *outputs,
                 uint32_t output_count);
int repeat_function(uint64_t count, int (*function)(void *), void *argument);
int repeat_python(uint64_t count, void *callable);
/* Of the interpreter that has loaded this. */
void *PyObject_CallNoArgs(void *callable);
void Py_DecRef(void *object);
#pragma GCC visibility pop

/* Until one fails; its status, which is 0 if none did. */
int repeat_infer(uint64_t count, hsched_model *model, const hsched_binding *inputs,
                 uint32_t input_count, const hsched_binding *outputs,
                 uint32_t output_count)
{
    hsched_status status = HSCHED_OK;
    for (uint64_t i = 0; i < count && status == HSCHED_OK; i++)
        status = hsched_infer(model, inputs, input_count, outputs, output_count);
    return (int)status;
}

int repeat_function(uint64_t count, int (*function)(void *), void *argument)
{
    int status = 0;
    for (uint64_t i = 0; i < count && status == 0; i++)
        status = function(argument);
    return status;
}

/* -1 if a call raises an exception, which the interpreter then finds. */
int repeat_python(uint64_t count, void *callable)
{
    for (uint64_t i = 0; i < count; i++) {
        void *result = PyObject_CallNoArgs(callable);
        if (!result)
            return -1;
        Py_DecRef(result);
    }
    return 0;
}
