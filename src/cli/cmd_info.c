/* hsched info: what this machine and this build have. */
#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/meters.h"
#include "cli/outputs.h"
#include "cli/session.h"
#include "cli/table.h"

static const char help_text[] =
    "Starts a runtime with the given options and shows its devices and the backends "
    "this\n"
    "library knows about, with the reason why one is not used.\n\n"
    "exit status: 0 success; 2 wrong usage; 4 the runtime could not start.\n";

/* Variables that change how fast libraries are; what is wrong with each. */
static const struct {
    const char *name, *meaning;
} environment[] = {
    { "OPENBLAS_CORETYPE",
      "makes OpenBLAS use the kernels of that processor, whatever this one is; "
      "unset it for full speed" },
    { "OPENBLAS_L2_SIZE",
      "overrides the cache size OpenBLAS plans for; unset it for full speed" },
    { "DNNL_MAX_CPU_ISA",
      "keeps oneDNN from using newer instructions; unset it for full speed" },
};
enum {
    VARIABLES = sizeof environment / sizeof environment[0]
};

static long usable_cpus(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                       : sysconf(_SC_NPROCESSORS_ONLN);
}

/* The device kinds in use decide whether the search for a GPU has to be explained. */
static int has_gpu(const hsched_runtime *runtime)
{
    for (uint32_t i = 0; i < hsched_runtime_device_count(runtime); i++) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        if (hsched_runtime_device_info(runtime, i, &info) == HSCHED_OK &&
            info.kind == HSCHED_DEVICE_GPU && !info.lost)
            return 1;
    }
    return 0;
}

static const char *kind_name(hsched_device_kind kind)
{
    switch (kind) {
    case HSCHED_DEVICE_CPU:
        return "cpu";
    case HSCHED_DEVICE_GPU:
        return "gpu";
    case HSCHED_DEVICE_SIM:
        return "simulated";
    }
    return "unknown";
}

static int print_devices(hsched_runtime *runtime)
{
    char memory[CLI_SHORT_MAX], meter[120];
    printf("devices\n");
    for (uint32_t i = 0; i < hsched_runtime_device_count(runtime); i++) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        hsched_status status = hsched_runtime_device_info(runtime, i, &info);
        if (status != HSCHED_OK)
            return cli_failed(CLI_SYSTEM, status, "device");
        printf("  %u  %s (%s): %s\n", i, info.name, kind_name(info.kind),
               info.description);
        printf("       %u worker%s, %s of memory%s\n", info.workers,
               info.workers == 1 ? "" : "s",
               cli_short_bytes((double)info.memory_bytes, memory),
               info.lost ? ", lost" : "");
        if (info.sm_count)
            printf("       %u of %u multiprocessors\n", info.sm_count, info.sm_total);
        if (info.libraries && info.libraries[0])
            printf("       %s\n", info.libraries);
        if (cli_meter_text(runtime, i, meter, sizeof meter))
            printf("       power meter %s\n", meter);
        else
            printf("       no power meter\n");
    }
    return CLI_OK;
}

static void print_backends(const hsched_runtime *runtime)
{
    hsched_backend_info info = { HSCHED_BACKEND_INFO_INIT };
    printf("\nbackends\n");
    for (uint32_t i = 0; hsched_backend_get_info(i, &info) == HSCHED_OK; i++)
        printf("  %-6s %s%s%s\n", info.name,
               info.available ? "available" : "not available",
               info.detail && info.detail[0] ? ": " : "", info.detail ? info.detail : "");
    printf("\nGPU: %s\n",
           has_gpu(runtime)
               ? "in use"
               : "not used; all work goes to the CPU (see the backends above)");
}

static void print_environment(void)
{
    int found = 0;
    for (int i = 0; i < VARIABLES; i++) {
        const char *value = getenv(environment[i].name);
        if (!value)
            continue;
        if (!found++)
            printf("\nwarnings\n");
        printf("  %s=%s %s\n", environment[i].name, value, environment[i].meaning);
    }
}

static json_t *environment_json(void)
{
    json_t *warnings = json_array();
    for (int i = 0; i < VARIABLES; i++)
        if (getenv(environment[i].name))
            cli_json_append(&warnings,
                            json_pack("{s:s, s:s, s:s}", "variable", environment[i].name,
                                      "value", getenv(environment[i].name), "meaning",
                                      environment[i].meaning));
    return warnings;
}

static int print_json(hsched_runtime *runtime)
{
    json_t *devices = json_array(), *backends = json_array();
    for (uint32_t i = 0; i < hsched_runtime_device_count(runtime); i++) {
        hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
        hsched_status status = hsched_runtime_device_info(runtime, i, &info);
        if (status != HSCHED_OK) {
            json_decref(devices);
            json_decref(backends);
            return cli_failed(CLI_SYSTEM, status, "device");
        }
        cli_json_append(
            &devices,
            json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:b, s:i, s:i, s:o}", "name",
                      info.name, "kind", kind_name(info.kind), "description",
                      info.description ? info.description : "", "libraries",
                      info.libraries ? info.libraries : "", "workers", (int)info.workers,
                      "memory_bytes", (json_int_t)info.memory_bytes, "lost",
                      info.lost != 0, "sm_count", (int)info.sm_count, "sm_total",
                      (int)info.sm_total, "meter", cli_meter_json(runtime, i)));
    }
    hsched_backend_info backend = { HSCHED_BACKEND_INFO_INIT };
    for (uint32_t i = 0; hsched_backend_get_info(i, &backend) == HSCHED_OK; i++)
        cli_json_append(&backends,
                        json_pack("{s:s, s:b, s:s}", "name", backend.name, "available",
                                  backend.available != 0, "detail",
                                  backend.detail ? backend.detail : ""));
    return cli_json_print(json_pack("{s:s, s:i, s:o, s:o, s:b, s:o}", "version",
                                    hsched_version(), "cpus", (int)usable_cpus(),
                                    "devices", devices, "backends", backends, "gpu",
                                    has_gpu(runtime), "warnings", environment_json()));
}

static int run(int argc, char **argv)
{
    cli_session session = { CLI_SESSION_INIT };
    cli_list positional = { 0 };
    int json = 0, status;
    const cli_option own[] = {
        { "json", NULL, "print it as JSON", cli_parse_flag, &json }, { 0 }
    };
    cli_option common[CLI_SESSION_OPTIONS];
    cli_session_options(&session, common);
    const cli_option *const tables[] = { own, common, NULL };
    if (cli_parse_options(&cli_info_command, tables, help_text, argc, argv, &positional,
                          &status)) {
        status = cli_session_check(&session);
        if (status == CLI_OK && positional.count > 0) {
            cli_error("unexpected argument '%s'; see hsched info --help",
                      positional.values[0]);
            status = CLI_USAGE;
        }
        if (status == CLI_OK)
            status = cli_session_start(&session);
        if (status == CLI_OK && json) {
            status = print_json(session.runtime);
        } else if (status == CLI_OK) {
            printf("hsched %s, %ld CPUs usable\n\n", hsched_version(), usable_cpus());
            status = print_devices(session.runtime);
            print_backends(session.runtime);
            print_environment();
        }
    }
    cli_session_end(&session);
    cli_list_free(&positional);
    return status;
}

const cli_command cli_info_command = {
    "info", "", "Show devices, libraries and backends of this machine", run
};
