/*
 * Another program on the same GPU, as an experiment meets it: one kind of computation, again
 * and again, until it is ended.
 *
 *     gpu_load KIND [--size N] [--sms N] [--seconds S]   prints "ready", and a line of JSON at
 *                                                        the end: SIGTERM, or after S seconds
 *     gpu_load KIND [--size N] [--sms N] --check         one iteration, compared with the CPU
 *
 * It waits for every iteration, blocked, as a program does that looks at its results. Statuses:
 * 0; 1 for a wrong result or a failed call; 2 for bad options; 77 where --sms is not possible.
 */
#include <cerrno>
#include <climits>
#include <new>

#include "background.h"
#include "loads/load.cuh"
#include "loads/partition.cuh"

namespace
{

const load_kind *const kinds[] = { &stream_kind,    &walk_kind,   &stencil_kind,
                                   &eliminate_kind, &bodies_kind, &paths_kind };

struct options {
    const load_kind *kind;
    int size, sms;  /* 0: the kind's usual, all */
    double seconds; /* 0: until SIGTERM */
    bool check;
};

/* ---- Options -------------------------------------------------------------- */

[[noreturn]] void usage()
{
    fputs("usage: gpu_load KIND [--size N] [--sms N] [--seconds S | --check]\n"
          "  KIND       SIZE, usually and at most\n",
          stderr);
    for (const load_kind *kind : kinds)
        fprintf(stderr, "  %-10s %d, %d: %s\n", kind->name, kind->usual, kind->most,
                kind->size_is);
    exit(2);
}

[[noreturn]] void bad_option(const char *option, const char *text, const char *needs)
{
    fprintf(stderr, "gpu_load: %s %s: give %s\n", option, text, needs);
    exit(2);
}

int whole_number(const char *option, const char *text, int most)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < 1 || value > most) {
        char needs[64];
        snprintf(needs, sizeof needs, "a whole number from 1 to %d", most);
        bad_option(option, text, needs);
    }
    return (int)value;
}

double seconds_of(const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value < 1e9))
        bad_option("--seconds", text, "a number above 0 and below 1e9");
    return value;
}

const load_kind *find_kind(const char *name)
{
    for (const load_kind *kind : kinds)
        if (strcmp(kind->name, name) == 0)
            return kind;
    fprintf(stderr, "gpu_load: no kind is called %s\n", name);
    usage();
}

options parse(int argc, char **argv)
{
    if (argc < 2)
        usage();
    options o = { find_kind(argv[1]), 0, 0, 0, false };
    for (int i = 2; i < argc; i++) {
        const char *option = argv[i];
        if (strcmp(option, "--check") == 0) {
            o.check = true;
            continue;
        }
        const bool size = strcmp(option, "--size") == 0,
                   sms = strcmp(option, "--sms") == 0;
        if (!size && !sms && strcmp(option, "--seconds") != 0) {
            fprintf(stderr, "gpu_load: there is no option %s\n", option);
            usage();
        }
        if (++i == argc)
            bad_option(option, "needs more", "a number");
        if (size)
            o.size = whole_number(option, argv[i], o.kind->most);
        else if (sms)
            o.sms = whole_number(option, argv[i], INT_MAX);
        else
            o.seconds = seconds_of(argv[i]);
    }
    if (o.check && o.seconds > 0)
        bad_option("--check", "is one iteration", "it without --seconds");
    if (!o.size)
        o.size = o.kind->usual;
    return o;
}

/* ---- Running -------------------------------------------------------------- */

void iterate(load &program, cudaStream_t stream)
{
    program.run(stream);
    GPU_OK(cudaStreamSynchronize(stream));
}

int check(const options &o, load &program, cudaStream_t stream)
{
    iterate(program, stream);
    const bool same = program.check(stream);
    printf("%s: size %d: %s\n", o.kind->name, o.size,
           same ? "the GPU's results are those of the CPU"
                : "the GPU's results are not those of the CPU");
    return same ? 0 : 1;
}

background_times times;

void run(const options &o, load &program, const partition &part)
{
    iterate(program, part.stream()); /* loads the kernels */
    background_ready();
    const double begin = background_us();
    while (!background_ended &&
           !(o.seconds > 0 && background_us() >= begin + o.seconds * 1e6)) {
        const double start = background_us();
        iterate(program, part.stream());
        background_add(&times, start, background_us());
    }
    printf("{\"kind\": \"%s\", \"size\": %d, \"multiprocessors\": %d, "
           "\"bytes_per_iteration\": %.0f, \"flops_per_iteration\": %.0f, ",
           o.kind->name, o.size, part.multiprocessors(), program.bytes, program.flops);
    background_print(&times);
    puts("}");
}

} // namespace

int main(int argc, char **argv)
{
    const options o = parse(argc, argv);
    try {
        if (!o.check)
            background_begin();
        const partition part(o.sms);
        const std::unique_ptr<load> program = o.kind->create(o.size, part.stream());
        if (o.check)
            return check(o, *program, part.stream());
        run(o, *program, part);
        return 0;
    } catch (const std::bad_alloc &) {
        fprintf(stderr, "gpu_load: no memory on the host for %s of size %d\n",
                o.kind->name, o.size);
        return 1;
    }
}
