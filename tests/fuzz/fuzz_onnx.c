/*
 * libFuzzer's entry to the ONNX importer. Not part of the build, since it needs clang; by
 * hand:
 *
 *     make BUILD=build/fuzz CC=clang OPT="-O1 -g" \
 *         CFLAGS="-fsanitize=fuzzer-no-link,address,undefined" build/fuzz/libhsched.a
 *     clang -g -fsanitize=fuzzer,address,undefined -Iinclude -Isrc tests/fuzz/fuzz_onnx.c
 * \
 *         build/fuzz/libhsched.a -lopenblas -lprotobuf-c -ldnnl -lgomp -lm -pthread \
 *         -o build/fuzz/fuzz_onnx
 *     mkdir -p build/fuzz/corpus && cp some/models/...onnx build/fuzz/corpus
 *     build/fuzz/fuzz_onnx -max_len=65536 -rss_limit_mb=2048 -timeout=10
 * build/fuzz/corpus
 *
 * What an import accepts is also saved and loaded again: that must work too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <hsched/hsched.h>

#include "base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, hsched_error_detail());
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    hsched_onnx_config config = { HSCHED_ONNX_CONFIG_INIT, .max_bytes = 16 << 20 };
    hsched_graph *graph = NULL, *again = NULL;
    uint64_t before = hsi_alloc_bytes();
    hsched_log_set(NULL, NULL, HSCHED_LOG_ERROR);
    snprintf(path, sizeof path, "/tmp/hsched-fuzz-%ld.onnx", (long)getpid());
    hsched_status status = hsched_graph_parse_onnx(data, size, &config, &graph);
    if (status == HSCHED_ERROR_INTERNAL)
        die("import");
    if (!status) {
        status = hsched_graph_save_onnx(graph, path);
        if (status && status != HSCHED_ERROR_UNSUPPORTED && status != HSCHED_ERROR_LIMIT)
            die("save");
        /* Numbers of an expanded form may need more than the budget. */
        if (!status && hsched_graph_load_onnx(path, NULL, &again))
            die("load of what was saved");
        unlink(path);
        hsched_graph_destroy(again);
        hsched_graph_destroy(graph);
    }
    if (hsi_alloc_bytes() != before)
        die("leak");
    return 0;
}
