#include "common/queue_runs.h"

#include "common/support.h"
#include "unit/random_graph.h"

hsched_runtime *queue_runtime_open(const queue_device_script *script,
                                   const hsched_runtime_config *config)
{
    hsched_runtime_config used = { HSCHED_RUNTIME_CONFIG_INIT };
    hsched_runtime *rt;
    if (config)
        used = *config;
    used.flags |= HSCHED_RUNTIME_REFERENCE;
    used.cpu_workers = used.cpu_workers ? used.cpu_workers : 2;
    if (!used.cache_dir && !getenv("HSCHED_CACHE_DIR"))
        used.cache_dir = "/dev/null/hsched"; /* no costs of this machine's */
    queue_device_begin(script);
    assert_ok(hsched_runtime_create(&used, &rt));
    assert_true(hsched_runtime_device_count(rt) > QUEUE_DEVICE);
    return rt;
}

void queue_runtime_close(hsched_runtime *rt)
{
    hsched_runtime_destroy(rt);
    queue_device_end();
}

hsched_runtime_stats queue_runtime_stats(hsched_runtime *rt)
{
    hsched_runtime_stats stats = { HSCHED_RUNTIME_STATS_INIT };
    assert_ok(hsched_runtime_get_stats(rt, &stats));
    return stats;
}

hsched_device_stats queue_device_stats(hsched_runtime *rt)
{
    hsched_device_stats stats = { HSCHED_DEVICE_STATS_INIT };
    assert_ok(hsched_runtime_get_device_stats(rt, QUEUE_DEVICE, &stats));
    return stats;
}

int queue_is_lost(hsched_runtime *rt)
{
    hsched_device_info info = { HSCHED_DEVICE_INFO_INIT };
    assert_ok(hsched_runtime_device_info(rt, QUEUE_DEVICE, &info));
    return info.lost;
}

/* ---- Models ------------------------------------------------------------------- */

void queue_net_make(queue_net *net, hsched_runtime *rt, hsched_graph *graph,
                    const hsched_model_config *config)
{
    hsched_model_config used = { HSCHED_MODEL_CONFIG_INIT };
    if (config)
        used = *config;
    *net = (queue_net){ .runtime = rt };
    assert_ok(hsched_model_compile(rt, graph, &used, &net->model));
    used.policy = HSCHED_POLICY_CPU_ONLY;
    used.objective = HSCHED_OBJECTIVE_DEFAULT;
    assert_ok(hsched_model_compile(rt, graph, &used, &net->reference));
    hsched_graph_destroy(graph);
    net->in_count = hsched_model_input_count(net->model);
    net->out_count = hsched_model_output_count(net->model);
    assert_true(net->in_count <= QUEUE_MAX_IO && net->out_count <= QUEUE_MAX_IO);
    for (uint32_t i = 0; i < net->in_count; i++) {
        net->in[i] = (hsched_tensor_info){ HSCHED_TENSOR_INFO_INIT };
        assert_ok(hsched_model_input_info(net->model, i, &net->in[i]));
    }
    for (uint32_t i = 0; i < net->out_count; i++) {
        net->out[i] = (hsched_tensor_info){ HSCHED_TENSOR_INFO_INIT };
        assert_ok(hsched_model_output_info(net->model, i, &net->out[i]));
    }
}

void queue_net_free(queue_net *net)
{
    hsched_model_release(net->model);
    hsched_model_release(net->reference);
}

void queue_net_tiny(queue_net *net, hsched_runtime *rt, hsched_policy policy)
{
    queue_net_make(net, rt, tiny_network(8, 1),
                   &(hsched_model_config){ HSCHED_MODEL_CONFIG_INIT, .policy = policy });
}

/* ---- Runs ----------------------------------------------------------------------- */

static void compute_wanted(queue_trial *t)
{
    const queue_net *net = t->net;
    hsched_binding in[QUEUE_MAX_IO], out[QUEUE_MAX_IO];
    for (uint32_t i = 0; i < net->in_count; i++)
        in[i] = (hsched_binding)HSCHED_DATA(t->given[i], net->in[i].byte_size);
    for (uint32_t i = 0; i < net->out_count; i++) {
        t->want[i] = malloc(net->out[i].byte_size);
        assert_non_null(t->want[i]);
        out[i] = (hsched_binding)HSCHED_DATA(t->want[i], net->out[i].byte_size);
    }
    assert_ok(hsched_infer(net->reference, in, net->in_count, out, net->out_count));
}

void queue_trial_make(queue_trial *t, const queue_net *net, user_tensor_kind in,
                      user_tensor_kind out, uint64_t seed)
{
    *t = (queue_trial){ .net = net };
    for (uint32_t i = 0; i < net->in_count; i++) {
        t->given[i] = malloc(net->in[i].byte_size);
        assert_non_null(t->given[i]);
        random_graph_fill(seed * 1000 + i, &net->in[i], t->given[i]);
        user_tensor_make(&t->in[i], net->runtime, in, net->in[i].byte_size);
        user_tensor_put(&t->in[i], t->given[i]);
    }
    for (uint32_t i = 0; i < net->out_count; i++)
        user_tensor_make(&t->out[i], net->runtime, out, net->out[i].byte_size);
    compute_wanted(t);
}

void queue_trial_free(queue_trial *t)
{
    for (uint32_t i = 0; i < t->net->in_count; i++) {
        user_tensor_free(&t->in[i]);
        free(t->given[i]);
    }
    for (uint32_t i = 0; i < t->net->out_count; i++) {
        user_tensor_free(&t->out[i]);
        free(t->want[i]);
    }
}

hsched_status queue_trial_try(queue_trial *t)
{
    hsched_binding in[QUEUE_MAX_IO], out[QUEUE_MAX_IO];
    for (uint32_t i = 0; i < t->net->in_count; i++)
        in[i] = user_tensor_binding(&t->in[i]);
    for (uint32_t i = 0; i < t->net->out_count; i++)
        out[i] = user_tensor_binding(&t->out[i]);
    hsched_run_config config = { HSCHED_RUN_CONFIG_INIT,
                                 .inputs = in,
                                 .outputs = out,
                                 .wait_event = t->wait_event,
                                 .priority = t->priority,
                                 .deadline_us = t->deadline_us,
                                 .late = t->late,
                                 .callback = t->callback,
                                 .callback_user = t->callback_user };
    return hsched_submit(t->net->model, &config, &t->run);
}

void queue_trial_submit(queue_trial *t)
{
    assert_ok(queue_trial_try(t));
}

static void check_results(queue_trial *t)
{
    for (uint32_t i = 0; i < t->net->out_count; i++) {
        const size_t bytes = t->net->out[i].byte_size;
        void *got = malloc(bytes);
        assert_non_null(got);
        user_tensor_get(&t->out[i], t->run, i, got);
        if (memcmp(got, t->want[i], bytes) != 0)
            fail_msg("output '%s', in memory of kind %d, is not what the CPU gives",
                     t->net->out[i].name, (int)t->out[i].kind);
        memset(got, 0xff, bytes);
        user_tensor_put(&t->out[i], got);
        free(got);
    }
}

void queue_trial_finish(queue_trial *t)
{
    assert_ok(hsched_run_wait(t->run, HSCHED_FOREVER));
    check_results(t);
    hsched_run_release(t->run);
    t->run = NULL;
}

void queue_trial_run(queue_trial *t)
{
    queue_trial_submit(t);
    queue_trial_finish(t);
}

uint32_t queue_trial_batch(const queue_trial *t)
{
    hsched_run_times times = { HSCHED_RUN_TIMES_INIT };
    assert_ok(hsched_run_wait(t->run, HSCHED_FOREVER));
    assert_ok(hsched_run_get_times(t->run, &times));
    return times.batch;
}

void queue_trials_make(queue_trial *trials, uint32_t count, const queue_net *net,
                       user_tensor_kind in, user_tensor_kind out)
{
    for (uint32_t i = 0; i < count; i++)
        queue_trial_make(&trials[i], net, in, out, 1 + i);
}

void queue_trials_finish(queue_trial *trials, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        queue_trial_finish(&trials[i]);
}

void queue_trials_free(queue_trial *trials, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        queue_trial_free(&trials[i]);
}

void queue_run_many(const queue_net *net, uint32_t at_once, uint32_t rounds)
{
    queue_trial *trials = calloc(at_once, sizeof *trials);
    assert_non_null(trials);
    queue_trials_make(trials, at_once, net, USER_TENSOR_PLAIN, USER_TENSOR_PLAIN);
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < at_once; i++)
            queue_trial_submit(&trials[i]);
        queue_trials_finish(trials, at_once);
    }
    queue_trials_free(trials, at_once);
    free(trials);
}

void queue_single_open(queue_single *single, hsched_policy policy, user_tensor_kind in,
                       user_tensor_kind out)
{
    single->runtime = queue_runtime_open(NULL, NULL);
    queue_net_tiny(&single->net, single->runtime, policy);
    queue_trial_make(&single->trial, &single->net, in, out, 1);
}

void queue_single_close(queue_single *single)
{
    queue_trial_free(&single->trial);
    queue_net_free(&single->net);
    queue_runtime_close(single->runtime);
}

void queue_expect_no_restarts(hsched_runtime *rt)
{
    const hsched_runtime_stats stats = queue_runtime_stats(rt);
    assert_int_equal(stats.runs_restarted, 0);
    assert_int_equal(stats.runs_failed, 0);
    assert_int_equal(stats.jobs_moved, 0);
}

void queue_try_all_memory(const queue_net *net)
{
    for (int in = 0; in < USER_TENSOR_KEPT; in++)
        for (int out = 0; out < USER_TENSOR_KINDS; out++) {
            queue_trial t;
            queue_trial_make(&t, net, (user_tensor_kind)in, (user_tensor_kind)out,
                             (uint64_t)(1 + in * USER_TENSOR_KINDS + out));
            for (int round = 0; round < 3; round++)
                queue_trial_run(&t);
            queue_trial_free(&t);
        }
}
