/* A program outside the project: compiled as C and as C++ against the installed library.
 */
#include <hsched/hsched.h>
#include <hsched/backend.h>
#include <hsched/experimental.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    hsched_runtime *rt = NULL;
    hsched_runtime_config config;
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.cpu_workers = 1;
    if (hsched_runtime_create(&config, &rt) != HSCHED_OK) {
        printf("failed: %s\n", hsched_error_detail());
        return 1;
    }
    printf("libhsched %s, %u device(s)\n", hsched_version(),
           hsched_runtime_device_count(rt));
    hsched_runtime_destroy(rt);
    return strcmp(hsched_version(), HSCHED_VERSION_STRING) != 0;
}
