/* Buffers of memory that is known by a file descriptor: shared memory, files, dma-bufs. */
#include "unit/import_support.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "buffer/buffer.h"

enum {
    IN_AT = 12,          /* no multiple of anything but the element's size */
    OUT_AT = 8192 + 400, /* in another page */
    FILE_BYTES = OUT_AT + BYTES
};

typedef struct fixture {
    hsched_runtime *rt;
    hsched_model *model;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->rt = open_runtime();
    f->model = negating_model(f->rt);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    hsched_model_release(f->model);
    hsched_runtime_destroy(f->rt);
    free(f);
    return 0;
}

static hsched_buffer *import(hsched_runtime *rt, int fd, uint64_t offset, size_t size)
{
    hsched_buffer *buffer;
    assert_ok(hsched_buffer_import_fd(rt, fd, offset, size, 0, &buffer));
    assert_int_equal(hsched_buffer_size(buffer), size);
    assert_true(hsched_buffer_device_address(buffer) == 0);
    return buffer;
}

/* Reads numbers at IN_AT and writes to OUT_AT, with two imports of the same memory. */
static void infer_within(const fixture *f, int fd, uint64_t start)
{
    hsched_buffer *in = import(f->rt, fd, start + IN_AT, BYTES);
    hsched_buffer *out = import(f->rt, fd, start + OUT_AT, BYTES);
    hsched_binding b_in = HSCHED_BUFFER(in), b_out = HSCHED_BUFFER(out);
    assert_ok(hsched_infer(f->model, &b_in, 1, &b_out, 1));
    hsched_buffer_release(in);
    hsched_buffer_release(out);
}

static void a_memfd_is_input_and_output(void **state)
{
    int fd = make_memfd("hsched-test", FILE_BYTES);
    write_numbers(fd, IN_AT, 1);
    infer_within(*state, fd, 0);
    assert_negated_in(fd, OUT_AT, 1);
    float untouched;
    assert_int_equal(pread(fd, &untouched, sizeof untouched, OUT_AT - 4), 4);
    assert_true(untouched == 0);
    close(fd);
}

static void one_buffer_serves_at_several_offsets(void **state)
{
    fixture *f = *state;
    int fd = make_memfd("hsched-test", FILE_BYTES + 4);
    write_numbers(fd, IN_AT + 4, 2);
    hsched_buffer *all = import(f->rt, fd, 4, FILE_BYTES);
    hsched_binding in = { .buffer = all, .offset = IN_AT },
                   out = { .buffer = all, .offset = OUT_AT };
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_negated_in(fd, OUT_AT + 4, 2);
    out.offset += 4;
    assert_fails(hsched_infer(f->model, &in, 1, &out, 1), HSCHED_ERROR_SHAPE,
                 "output 'y'");
    hsched_buffer_release(all);
    close(fd);
}

static void a_file_and_a_far_offset_will_do(void **state)
{
    const uint64_t far = (uint64_t)5 << 30; /* beyond 32 bits; the file has a hole */
    char path[] = "/tmp/hsched-import-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    if (ftruncate(fd, (off_t)(far + FILE_BYTES)) != 0) {
        printf("skipped: /tmp takes no large file\n");
        close(fd);
        skip();
    }
    write_numbers(fd, (off_t)far + IN_AT, 3);
    infer_within(*state, fd, far);
    assert_negated_in(fd, (off_t)far + OUT_AT, 3);
    close(fd);
}

static int descriptors_open(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int is_mapped(const char *name)
{
    char line[512];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps))
        found |= strstr(line, name) != NULL;
    fclose(maps);
    return found;
}

static void the_descriptor_is_not_needed_any_more(void **state)
{
    fixture *f = *state;
    int fd = make_memfd("hsched-closed", BYTES), before = descriptors_open();
    write_numbers(fd, 0, 4);
    hsched_buffer *in = import(f->rt, fd, 0, BYTES);
    assert_int_equal(descriptors_open(), before);
    close(fd);
    float y[ELEMENTS];
    hsched_binding b_in = HSCHED_BUFFER(in), b_out = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &b_in, 1, &b_out, 1));
    assert_negated(y, 4);
    assert_true(is_mapped("hsched-closed"));
    hsched_buffer_release(in);
    assert_false(is_mapped("hsched-closed"));
}

static void what_others_write_is_seen(void **state)
{
    fixture *f = *state;
    int fd = make_memfd("hsched-test", BYTES);
    hsched_buffer *in = import(f->rt, fd, 0, BYTES);
    float y[ELEMENTS];
    hsched_binding b_in = HSCHED_BUFFER(in), b_out = HSCHED_DATA(y, sizeof y);
    for (uint32_t seed = 5; seed < 10; seed++) {
        write_numbers(fd, 0, seed);
        assert_ok(hsched_infer(f->model, &b_in, 1, &b_out, 1));
        assert_negated(y, seed);
    }
    hsched_buffer_release(in);
    close(fd);
}

/* ---- Life ----------------------------------------------------------------- */

static void runs_keep_what_they_use(void **state)
{
    enum {
        RUNS = 50
    };
    fixture *f = *state;
    int fd = make_memfd("hsched-runs", (RUNS + 1) * BYTES);
    write_numbers(fd, 0, 11);
    hsched_run *runs[RUNS];
    for (int i = 0; i < RUNS; i++) {
        hsched_buffer *in = import(f->rt, fd, 0, BYTES);
        hsched_buffer *out = import(f->rt, fd, (uint64_t)(i + 1) * BYTES, BYTES);
        hsched_binding b_in = HSCHED_BUFFER(in), b_out = HSCHED_BUFFER(out);
        hsched_run_config config = { HSCHED_RUN_CONFIG_INIT, .inputs = &b_in,
                                     .outputs = &b_out };
        assert_ok(hsched_submit(f->model, &config, &runs[i]));
        hsched_buffer_release(in); /* with the run in flight */
        hsched_buffer_release(out);
    }
    for (int i = 0; i < RUNS; i++) {
        const void *y;
        assert_ok(hsched_run_wait(runs[i], HSCHED_FOREVER));
        assert_ok(hsched_run_output(runs[i], 0, &y, NULL));
        assert_negated(y, 11);
        assert_negated_in(fd, (off_t)(i + 1) * BYTES, 11);
        assert_true(is_mapped("hsched-runs"));
        hsched_run_release(runs[i]);
    }
    assert_false(is_mapped("hsched-runs"));
    close(fd);
}

static void a_chained_run_keeps_what_it_reads(void **state)
{
    fixture *f = *state;
    int fd = make_memfd("hsched-chain", 2 * BYTES);
    write_numbers(fd, 0, 12);
    hsched_buffer *in = import(f->rt, fd, 0, BYTES);
    hsched_buffer *out = import(f->rt, fd, BYTES, BYTES);
    hsched_binding b_in = HSCHED_BUFFER(in), b_out = HSCHED_BUFFER(out);
    hsched_run *first, *second;
    assert_ok(hsched_submit(f->model,
                            &(hsched_run_config){ HSCHED_RUN_CONFIG_INIT, .inputs = &b_in,
                                                  .outputs = &b_out },
                            &first));
    hsched_binding chained = HSCHED_RUN_OUTPUT(first, 0);
    assert_ok(hsched_submit(
        f->model, &(hsched_run_config){ HSCHED_RUN_CONFIG_INIT, .inputs = &chained },
        &second));
    hsched_buffer_release(in);
    hsched_buffer_release(out);
    hsched_run_release(first);
    assert_ok(hsched_run_wait(second, HSCHED_FOREVER));
    const void *y;
    assert_ok(hsched_run_output(second, 0, &y, NULL));
    float x[ELEMENTS];
    fill(x, ELEMENTS, 12);
    assert_memory_equal(y, x, BYTES); /* negated twice */
    hsched_run_release(second);
    close(fd);
}

static void a_buffer_outlives_its_runtime(void **state)
{
    (void)state;
    int fd = make_memfd("hsched-late", BYTES);
    hsched_runtime *rt = open_runtime();
    hsched_buffer *buffer = import(rt, fd, 0, BYTES);
    hsched_runtime_destroy(rt);
    void *data;
    assert_ok(hsched_buffer_map(buffer, &data));
    memset(data, 1, BYTES);
    hsched_buffer_release(buffer);
    assert_false(is_mapped("hsched-late"));
    close(fd);
}

static void a_warm_run_allocates_nothing(void **state)
{
    fixture *f = *state;
    int fd = make_memfd("hsched-test", 2 * BYTES);
    hsched_buffer *all = import(f->rt, fd, 0, 2 * BYTES);
    hsched_binding in = HSCHED_BUFFER(all), out = { .buffer = all, .offset = BYTES };
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    for (int i = 0; i < 5; i++)
        assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_ok(hsched_runtime_get_stats(f->rt, &stats));
    const uint64_t before = stats.allocations;
    for (int i = 0; i < 20; i++)
        assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_ok(hsched_runtime_get_stats(f->rt, &stats));
    assert_int_equal(stats.allocations, before);
    hsched_buffer_release(all);
    close(fd);
}

/* ---- What is not allowed -------------------------------------------------- */

/* Releases the buffer. */
static void assert_input_only(const fixture *f, hsched_buffer *buffer, uint32_t seed)
{
    float y[ELEMENTS];
    hsched_binding b = HSCHED_BUFFER(buffer), data = HSCHED_DATA(y, sizeof y);
    assert_ok(hsched_infer(f->model, &b, 1, &data, 1));
    assert_negated(y, seed);
    assert_fails(hsched_infer(f->model, &data, 1, &b, 1), HSCHED_ERROR_INVALID_ARGUMENT,
                 "output 'y'");
    assert_non_null(strstr(hsched_error_detail(), "without write access"));
    assert_ok(hsched_buffer_begin_access(buffer, HSCHED_ACCESS_READ));
    assert_ok(hsched_buffer_end_access(buffer, HSCHED_ACCESS_READ));
    assert_fails(hsched_buffer_begin_access(buffer, HSCHED_ACCESS_WRITE),
                 HSCHED_ERROR_INVALID_ARGUMENT, "without write access");
    hsched_buffer_release(buffer);
}

static void without_write_access_it_is_an_input_only(void **state)
{
    fixture *f = *state;
    hsched_buffer *buffer;
    char path[64];
    int fd = make_memfd("hsched-test", BYTES);
    write_numbers(fd, 0, 21);
    assert_ok(
        hsched_buffer_import_fd(f->rt, fd, 0, BYTES, HSCHED_IMPORT_READ_ONLY, &buffer));
    assert_input_only(f, buffer, 21);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reader = open(path, O_RDONLY);
    assert_true(reader >= 0);
    assert_input_only(f, import(f->rt, reader, 0, BYTES), 21);
    close(reader);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
    assert_input_only(f, import(f->rt, fd, 0, BYTES), 21);
    close(fd);
}

static void refused(fixture *f, int fd, uint64_t offset, size_t size, uint32_t flags,
                    hsched_status status, const char *text)
{
    hsched_buffer *buffer = (hsched_buffer *)f; /* anything but NULL */
    const int before = descriptors_open();
    assert_fails(hsched_buffer_import_fd(f->rt, fd, offset, size, flags, &buffer), status,
                 "hsched_buffer_import_fd: ");
    assert_null(buffer);
    if (!strstr(hsched_error_detail(), text))
        fail_msg("'%s' is not in: %s", text, hsched_error_detail());
    assert_int_equal(descriptors_open(), before);
}

static void bad_arguments_are_explained(void **state)
{
    fixture *f = *state;
    const hsched_status invalid = HSCHED_ERROR_INVALID_ARGUMENT;
    int fd = make_memfd("hsched-bad", BYTES), ends[2];
    hsched_buffer *buffer;
    refused(f, -1, 0, BYTES, 0, invalid, "not an open");
    refused(f, 1000, 0, BYTES, 0, invalid, "not an open");
    refused(f, fd, 0, 0, 0, invalid, "size is 0");
    refused(f, fd, 0, BYTES, 2, invalid, "flags 0x2");
    refused(f, fd, 0, BYTES + 1, 0, invalid, "beyond the end");
    refused(f, fd, 1, BYTES, 0, invalid, "beyond the end");
    refused(f, fd, (uint64_t)1 << 40, 4, 0, invalid, "beyond the end");
    refused(f, fd, UINT64_MAX - 3, 8, 0, invalid, "larger than any file");
    refused(f, fd, INT64_MAX, 1, 0, invalid, "larger than any file");
    refused(f, fd, 8, SIZE_MAX, 0, invalid, "larger than any file");
    assert_fails(hsched_buffer_import_fd(NULL, fd, 0, BYTES, 0, &buffer), invalid,
                 "runtime is NULL");
    assert_fails(hsched_buffer_import_fd(f->rt, fd, 0, BYTES, 0, NULL), invalid,
                 "buffer is NULL");
    close(fd);
    assert_int_equal(pipe(ends), 0);
    refused(f, ends[0], 0, BYTES, 0, HSCHED_ERROR_UNSUPPORTED, "could not be mapped");
    refused(f, ends[1], 0, BYTES, 0, invalid, "reading");
    close(ends[0]);
    close(ends[1]);
    fd = open("/tmp", O_RDONLY | O_DIRECTORY);
    refused(f, fd, 0, BYTES, 0, HSCHED_ERROR_UNSUPPORTED, "could not be mapped");
    close(fd);
    fd = open("/tmp", O_PATH);
    refused(f, fd, 0, BYTES, 0, invalid, "reading");
    close(fd);
    assert_false(is_mapped("hsched-bad"));
}

static void accesses_are_checked(void **state)
{
    fixture *f = *state;
    hsched_buffer *plain;
    assert_ok(hsched_buffer_create(f->rt, BYTES, &plain));
    assert_ok(hsched_buffer_begin_access(plain, HSCHED_ACCESS_WRITE));
    assert_ok(hsched_buffer_end_access(plain, HSCHED_ACCESS_WRITE));
    assert_fails(hsched_buffer_begin_access(plain, 0), HSCHED_ERROR_INVALID_ARGUMENT,
                 "access is 0x0");
    assert_fails(hsched_buffer_end_access(plain, 4), HSCHED_ERROR_INVALID_ARGUMENT,
                 "access is 0x4");
    assert_fails(hsched_buffer_begin_access(NULL, HSCHED_ACCESS_READ),
                 HSCHED_ERROR_INVALID_ARGUMENT, "buffer is NULL");
    hsched_buffer_release(plain);
}

/* ---- Devices that register host memory ------------------------------------ */

typedef struct fake_device {
    void *host;
    size_t size;
    int refuses, destroyed;
} fake_device;

static hsched_status fake_map(void *object, void *host, size_t size,
                              hsched_memory *memory)
{
    fake_device *d = object;
    d->host = host;
    d->size = size;
    if (d->refuses)
        return HSCHED_ERROR_UNSUPPORTED;
    *memory = (hsched_memory){ .host = host, .device = 0x100000, .handle = d };
    return HSCHED_OK;
}

static void fake_destroy(void *object, hsched_memory *memory)
{
    fake_device *d = object;
    assert_ptr_equal(memory->handle, d);
    assert_true(is_mapped("hsched-device"));
    d->destroyed++;
}

static void devices_register_whole_pages(void **state)
{
    (void)state;
    int fd = make_memfd("hsched-device", 4 * 4096);
    fake_device d = { 0 };
    const hsi_buffer_mapper mapper = { .object = &d,
                                       .map = fake_map,
                                       .destroy = fake_destroy };
    hsched_buffer *b;
    assert_ok(
        hsi_buffer_import((hsi_buffer_owner){ 0 }, &mapper, fd, 4096 + 100, 4096, 0, &b));
    const hsched_memory *memory = hsi_buffer_memory(b);
    assert_int_equal((uintptr_t)d.host % 4096, 0);
    assert_int_equal(d.size, 2 * 4096);
    assert_ptr_equal(memory->host, (char *)d.host + 100);
    assert_int_equal(memory->device, 0x100000 + 100);
    hsched_buffer_release(b);
    assert_int_equal(d.destroyed, 1);
    assert_false(is_mapped("hsched-device"));

    d.refuses = 1;
    assert_ok(hsi_buffer_import((hsi_buffer_owner){ 0 }, &mapper, fd, 100, 4096, 0, &b));
    assert_int_equal(hsi_buffer_memory(b)->device, 0); /* by way of copies */
    assert_ptr_equal(hsi_buffer_memory(b)->host, (char *)d.host + 100);
    hsched_buffer_release(b);
    assert_int_equal(d.destroyed, 1);
    close(fd);
}

/* ---- Other kinds of memory ------------------------------------------------ */

static void huge_pages_will_do(void **state)
{
    const size_t page = (size_t)2 << 20;
    const unsigned of_2_mib = 21u << 26; /* MFD_HUGE_2MB, which not all headers have */
    int fd = memfd_create("hsched-huge", MFD_HUGETLB | of_2_mib);
    void *all = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)(2 * page)) == 0)
        all = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (all == MAP_FAILED) {
        printf("skipped: no huge pages (%s)\n", strerror(errno));
        close(fd);
        skip();
    }
    fill((float *)((char *)all + page + IN_AT), ELEMENTS, 31);
    infer_within(*state, fd, page);
    assert_negated((const float *)((char *)all + page + OUT_AT), 31);
    munmap(all, 2 * page);
    close(fd);
    assert_false(is_mapped("hsched-huge"));
}

static void a_real_dma_buf_will_do(void **state)
{
    const size_t size = 4 * 4096;
    int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    if (device < 0) {
        printf("skipped: /dev/udmabuf cannot be opened (%s)\n", strerror(errno));
        skip();
    }
    int fd = make_memfd("hsched-test", size);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    struct udmabuf_create create = { .memfd = (uint32_t)fd,
                                     .flags = UDMABUF_FLAGS_CLOEXEC,
                                     .size = size };
    int dma_buf = ioctl(device, UDMABUF_CREATE, &create);
    assert_true(dma_buf >= 0);
    write_numbers(fd, IN_AT, 32);
    infer_within(*state, dma_buf, 0);
    assert_negated_in(fd, OUT_AT, 32);
    fixture *f = *state;
    refused(f, dma_buf, 1, size, 0, HSCHED_ERROR_INVALID_ARGUMENT, "beyond the end");
    hsched_buffer *buffer = import(f->rt, dma_buf, 0, size);
    assert_true(hsi_buffer_imported(buffer)->access.fd >= 0);
    close(dma_buf);
    assert_ok(hsched_buffer_begin_access(buffer, HSCHED_ACCESS_READ));
    assert_ok(hsched_buffer_end_access(buffer, HSCHED_ACCESS_READ));
    hsched_buffer_release(buffer);
    close(fd);
    close(device);
}

/* ---- Two processes -------------------------------------------------------- */

/* Negates what is at 0 into BYTES; the other process has put it there. */
static int peer(int fd)
{
    hsched_runtime *rt = open_runtime();
    hsched_model *model = negating_model(rt);
    hsched_buffer *all = import(rt, fd, 0, 3 * BYTES);
    hsched_binding in = HSCHED_BUFFER(all), out = { .buffer = all, .offset = BYTES };
    assert_ok(hsched_infer(model, &in, 1, &out, 1));
    hsched_buffer_release(all);
    hsched_model_release(model);
    hsched_runtime_destroy(rt);
    return 0;
}

static void two_processes_share_memory(void **state)
{
    fixture *f = *state;
    int fd = make_memfd("hsched-shared", 3 * BYTES);
    hsched_buffer *all = import(f->rt, fd, 0, 3 * BYTES);
    void *data;
    assert_ok(hsched_buffer_map(all, &data));
    fill(data, ELEMENTS, 41);
    char number[16];
    snprintf(number, sizeof number, "%d", fd);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_import", "peer", number, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_negated((float *)data + ELEMENTS, 41);
    /* What the other process has made is the input here. */
    hsched_binding in = { .buffer = all, .offset = BYTES },
                   out = { .buffer = all, .offset = 2 * BYTES };
    assert_ok(hsched_infer(f->model, &in, 1, &out, 1));
    assert_memory_equal((char *)data + 2 * BYTES, data, BYTES);
    hsched_buffer_release(all);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "peer") == 0)
        return peer(atoi(argv[2]));
    const struct CMUnitTest tests[] = {
        TEST(a_memfd_is_input_and_output),
        TEST(one_buffer_serves_at_several_offsets),
        TEST(a_file_and_a_far_offset_will_do),
        TEST(the_descriptor_is_not_needed_any_more),
        TEST(what_others_write_is_seen),
        TEST(runs_keep_what_they_use),
        TEST(a_chained_run_keeps_what_it_reads),
        cmocka_unit_test(a_buffer_outlives_its_runtime),
        TEST(a_warm_run_allocates_nothing),
        TEST(without_write_access_it_is_an_input_only),
        TEST(bad_arguments_are_explained),
        TEST(accesses_are_checked),
        cmocka_unit_test(devices_register_whole_pages),
        TEST(huge_pages_will_do),
        TEST(a_real_dma_buf_will_do),
        TEST(two_processes_share_memory),
    };
    return cmocka_run_group_tests_name("imported buffers", tests, NULL, NULL);
}
